//! The one list of formats: what a `format` keyword in a definition asks of a value.
//!
//! What is right and wrong is decided in `domain`; here it only gets its place in the schema.

use domain::text::shown;
use domain::{cidr, drain, duration, engine, environment, gpu, id, name, ports, secret, version};
use plugin::Value;
use std::{fmt::Display, str::FromStr};

/// Summary of the diagnostic, and the check.
pub(crate) struct Format {
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) check: fn(&Value) -> Result<(), Wrong>,
}

/// What is wrong with a value, and in which element of a map.
pub(crate) struct Wrong {
    pub(crate) detail: String,
    pub(crate) key: Option<String>,
}

pub(crate) fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// The value in the one spelling that all spellings of its meaning share: `H200:1` is `H200`.
pub(crate) fn canonical(format: &str, value: &Value) -> Value {
    let Value::String(text) = value else { return value.clone() };
    let canonical = match format {
        "gpu" => text.parse::<gpu::GpuRequest>().ok().map(|request| request.to_string()),
        _ => None,
    };
    Value::String(canonical.unwrap_or_else(|| text.clone()))
}

const FORMATS: &[Format] = &[
    Format { name: "name", summary: "Invalid name", check: |v| text(v, name::check_resource_name) },
    Format { name: "cloud", summary: "Unknown cloud", check: parsed::<cloud_name::CloudName> },
    Format {
        name: "location",
        summary: "Invalid region or zone",
        check: |v| text(v, name::check_location),
    },
    Format { name: "gpu", summary: "Invalid GPU request", check: parsed::<gpu::GpuRequest> },
    Format { name: "duration", summary: "Invalid duration", check: |v| text(v, duration::parse) },
    Format {
        name: "drain-timeout",
        summary: "Invalid drain timeout",
        check: |v| text(v, drain::parse_limit),
    },
    Format { name: "cidr", summary: "Invalid address block", check: |v| text(v, cidr::parse) },
    Format {
        name: "model",
        summary: "Invalid model name",
        check: |v| text(v, name::check_model_name),
    },
    Format {
        name: "engine-model",
        summary: "Invalid model",
        check: |v| text(v, name::check_model_source),
    },
    Format {
        name: "dynamo-version",
        summary: "Unsupported Dynamo version",
        check: parsed::<version::DynamoVersion>,
    },
    Format { name: "engine", summary: "Unknown engine", check: |v| text(v, engine::check_name) },
    Format { name: "fleet-id", summary: "Invalid fleet id", check: parsed::<id::FleetId> },
    Format { name: "service-id", summary: "Invalid service id", check: parsed::<id::ServiceId> },
    Format { name: "group-id", summary: "Invalid replica group id", check: parsed::<id::GroupId> },
    Format { name: "service-port", summary: "Port is taken", check: service_port },
    Format { name: "environment", summary: "Invalid environment variable", check: environment_map },
    Format { name: "secret-environment", summary: "Invalid secret reference", check: secret_map },
    Format { name: "url-path", summary: "Invalid path", check: url_path },
    Format { name: "directory", summary: "Invalid directory", check: directory },
    Format { name: "engine-runtimes", summary: "Invalid engine runtime", check: engine_runtimes },
    Format { name: "url", summary: "Invalid URL", check: url },
    Format { name: "role-arn", summary: "Invalid role", check: role_arn },
    Format { name: "word", summary: "Invalid value", check: word },
];

mod cloud_name {
    pub(super) use domain::cloud::CloudName;
}

fn text<T, E: Display>(value: &Value, check: fn(&str) -> Result<T, E>) -> Result<(), Wrong> {
    let Value::String(text) = value else { return Ok(()) };
    check(text).map(drop).map_err(|error| wrong(error, None))
}

fn parsed<T: FromStr<Err: Display>>(value: &Value) -> Result<(), Wrong> {
    let Value::String(text) = value else { return Ok(()) };
    text.parse::<T>().map(drop).map_err(|error| wrong(error, None))
}

fn service_port(value: &Value) -> Result<(), Wrong> {
    let Value::Number(number) = value else { return Ok(()) };
    let port = number.as_i64().and_then(|port| u16::try_from(port).ok());
    // A number that is no port at all is the range's finding.
    port.map_or(Ok(()), |port| ports::check_service_port(port).map_err(|error| wrong(error, None)))
}

fn environment_map(value: &Value) -> Result<(), Wrong> {
    each(value, |name, value| {
        environment::check_name(name).map_err(|error| wrong(error, Some(name)))?;
        match value {
            Value::String(value) => {
                environment::check_value(value).map_err(|error| wrong(error, Some(name)))
            }
            Value::Null => Err(wrong("the value is null; leave the name out instead", Some(name))),
            _ => Ok(()),
        }
    })
}

fn secret_map(value: &Value) -> Result<(), Wrong> {
    each(value, |name, value| {
        environment::check_name(name).map_err(|error| wrong(error, Some(name)))?;
        match value {
            Value::String(reference) => reference
                .parse::<secret::SecretReference>()
                .map(drop)
                .map_err(|error| wrong(error, Some(name))),
            Value::Null => Err(wrong("the value is null; leave the name out instead", Some(name))),
            _ => Ok(()),
        }
    })
}

fn each(value: &Value, check: impl Fn(&str, &Value) -> Result<(), Wrong>) -> Result<(), Wrong> {
    let Value::Map(elements) = value else { return Ok(()) };
    elements.iter().try_for_each(|(name, value)| check(name, value))
}

fn url_path(value: &Value) -> Result<(), Wrong> {
    text(value, |path| {
        let printable = path.bytes().all(|byte| byte.is_ascii_graphic());
        if path.starts_with('/') && printable {
            Ok(())
        } else {
            Err(format!(
                "`{}` is not a path; it begins with `/` and has no blanks, as in `/health`",
                shown(path)
            ))
        }
    })
}

fn directory(value: &Value) -> Result<(), Wrong> {
    text(value, |path| {
        if path.starts_with('/') && !path.contains('\0') {
            Ok(())
        } else {
            Err(format!("`{}` is not an absolute path, as in `/var/lib/disagg`", shown(path)))
        }
    })
}

/// Engines that a virtual environment is found for are those that have an image otherwise.
fn engine_runtimes(value: &Value) -> Result<(), Wrong> {
    each(value, |name, path| {
        if engine::find(name).is_none_or(|engine| engine.image().is_none()) {
            let error = format!(
                "`{}` is not one of the engines `sglang`, `vllm` and `trtllm`",
                shown(name)
            );
            return Err(wrong(error, Some(name)));
        }
        match path {
            Value::Null => Err(wrong("the path is null; leave the engine out instead", Some(name))),
            path => directory(path).map_err(|error| Wrong { key: Some(name.to_owned()), ..error }),
        }
    })
}

fn url(value: &Value) -> Result<(), Wrong> {
    text(value, |url| {
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let printable = url.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_some_and(|host| !host.is_empty() && !host.starts_with('/')) && printable {
            Ok(())
        } else {
            Err(format!(
                "`{}` is not a URL, as in `https://ec2.us-east-2.amazonaws.com`",
                shown(url)
            ))
        }
    })
}

fn role_arn(value: &Value) -> Result<(), Wrong> {
    text(value, |arn| {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let is_role = matches!(parts[..], ["arn", partition, "iam", "", account, role]
            if partition.starts_with("aws")
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && role.strip_prefix("role/").is_some_and(|name| !name.is_empty()));
        if is_role {
            Ok(())
        } else {
            Err(format!(
                "`{}` is not the ARN of a role, as in `arn:aws:iam::123456789012:role/inference`",
                shown(arn)
            ))
        }
    })
}

fn word(value: &Value) -> Result<(), Wrong> {
    text(value, |word| {
        if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(())
        } else {
            Err(format!(
                "`{}` is empty or has blanks or other characters that cannot be in it",
                shown(word)
            ))
        }
    })
}

fn wrong(error: impl Display, key: Option<&str>) -> Wrong {
    Wrong { detail: sentence(&error.to_string()), key: key.map(str::to_owned) }
}

/// Errors are phrases without a capital and a full stop; a diagnostic's detail is a sentence.
fn sentence(phrase: &str) -> String {
    let mut chars = phrase.chars();
    let first: String =
        chars.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", chars.as_str().trim_end_matches('.'))
}

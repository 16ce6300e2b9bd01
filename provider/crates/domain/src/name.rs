//! Names that users give: what may be in them, and what would be right when it is not.
//!
//! Deliberately not here: ids, which are made of names ([`crate::id`]).

use crate::text::shown;
use thiserror::Error;

/// Greatest length of a resource's name: it becomes part of host names and tags on every cloud.
const MOST_NAME_CHARS: usize = 30;

/// Greatest length of a model's name in bytes: it is the value of a tag.
const MOST_MODEL_BYTES: usize = 200;

/// Greatest length of a region's or a zone's name.
const MOST_LOCATION_CHARS: usize = 40;

/// Checks the name of a fleet, a service or a replica group.
///
/// # Errors
/// Says the rule and, where one is near, a name that would be right.
pub fn check_resource_name(name: &str) -> Result<(), InvalidName> {
    let well_formed = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !name.ends_with('-')
        && name.len() <= MOST_NAME_CHARS;
    if well_formed {
        return Ok(());
    }
    Err(InvalidName::Resource { name: shown(name), suggestion: suggestion(name) })
}

/// Checks a model's name: a name on the hub (`zai-org/GLM-4.5-Air-FP8`) or a directory under the
/// machine's own models.
///
/// # Errors
/// Says what about it is wrong.
pub fn check_model_name(name: &str) -> Result<(), InvalidName> {
    let wrong = |reason: &'static str| Err(InvalidName::Model { name: shown(name), reason });
    if name.is_empty() {
        return wrong("it is empty");
    }
    if name.len() > MOST_MODEL_BYTES {
        return wrong("it has more than 200 bytes");
    }
    if name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return wrong("blanks and control characters cannot be in it");
    }
    if name.starts_with('/')
        || name.split('/').any(|part| part.is_empty() || part == "." || part == "..")
    {
        return wrong("each of its parts between slashes must be a name");
    }
    if name.starts_with('-') || name.contains(['\\', '"', '\'', '$', '`']) {
        return wrong("it begins with `-` or has a quote, a backslash or `$` in it");
    }
    Ok(())
}

/// Checks where an engine loads its model from: a name on the hub, or the path of a directory on the
/// machine.
///
/// # Errors
/// Says what about it is wrong.
pub fn check_model_source(source: &str) -> Result<(), InvalidName> {
    match source.strip_prefix('/') {
        Some(path) => check_model_name(path),
        None => check_model_name(source),
    }
}

/// Checks the name of a region or a zone, as far as all clouds agree.
///
/// # Errors
/// Says the rule.
pub fn check_location(name: &str) -> Result<(), InvalidName> {
    let well_formed = !name.is_empty()
        && name.len() <= MOST_LOCATION_CHARS
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if well_formed { Ok(()) } else { Err(InvalidName::Location { name: shown(name) }) }
}

/// A name that breaks its rule.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidName {
    /// Of a fleet, a service or a replica group.
    #[error(
        "`{name}` is not a name; a name has lower-case letters, digits and hyphens, begins with a \
         letter, does not end with a hyphen and has at most 30 characters{}",
        .suggestion.as_ref().map(|right| format!(", as in `{right}`")).unwrap_or_default()
    )]
    Resource {
        /// What was given.
        name: String,
        /// What would be right.
        suggestion: Option<String>,
    },
    /// Of a model.
    #[error("`{name}` is not a model's name: {reason}; right would be `zai-org/GLM-4.5-Air-FP8`")]
    Model {
        /// What was given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Of a region or a zone.
    #[error(
        "`{name}` is not a region or zone; they have lower-case letters, digits and hyphens, as in \
         `us-east-2`"
    )]
    Location {
        /// What was given.
        name: String,
    },
}

/// The same name with what is wrong left out or replaced.
fn suggestion(name: &str) -> Option<String> {
    let replaced: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .skip_while(|c| !c.is_ascii_lowercase())
        .take(MOST_NAME_CHARS)
        .collect();
    let replaced = replaced.trim_end_matches('-').to_owned();
    (!replaced.is_empty()).then_some(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn resource_names() {
        for good in ["a", "glm", "pd-2", "a23456789012345678901234567890"] {
            assert_eq!(check_resource_name(good), Ok(()), "{good}");
        }
        for bad in ["", "2glm", "-a", "a-", "Glm", "a_b", "a b", "ä", "a/b", "a@b", &"a".repeat(31)]
        {
            assert!(check_resource_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn says_what_would_be_right() {
        let error = |name| check_resource_name(name).unwrap_err().to_string();
        expect!["`My Fleet` is not a name; a name has lower-case letters, digits and hyphens, begins with a letter, does not end with a hyphen and has at most 30 characters, as in `my-fleet`"]
            .assert_eq(&error("My Fleet"));
        expect!["`` is not a name; a name has lower-case letters, digits and hyphens, begins with a letter, does not end with a hyphen and has at most 30 characters"]
            .assert_eq(&error(""));
    }

    #[test]
    fn suggestions_are_names() {
        for bad in ["My Fleet", "9lives-", "a--", &"Xy".repeat(40), "ÄB", "__a__"] {
            let Err(InvalidName::Resource { suggestion: Some(right), .. }) =
                check_resource_name(bad)
            else {
                panic!("{bad} has no suggestion");
            };
            assert_eq!(check_resource_name(&right), Ok(()), "{bad} -> {right}");
        }
    }

    #[test]
    fn model_names() {
        for good in ["zai-org/GLM-4.5-Air-FP8", "disagg/tiny", "gpt2", "a/b/c", "org/モデル"] {
            assert_eq!(check_model_name(good), Ok(()), "{good}");
        }
        let long = "m".repeat(201);
        for bad in ["", "a b", "a\nb", "/abs", "a//b", "../a", "a/..", "-rf", "a\"b", "$x", &long] {
            assert!(check_model_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn locations() {
        for good in ["us-east-2", "us-east-2a", "local", "westeurope", "europe-west4-b"] {
            assert_eq!(check_location(good), Ok(()), "{good}");
        }
        for bad in ["", "US", "a/b", "a b", &"a".repeat(41)] {
            assert!(check_location(bad).is_err(), "{bad}");
        }
    }
}

//! Units as systemd's files define them: the subset that our generator emits. Anything else is refused:
//! it would mean something on a VM and nothing here.

use crate::environment::{self, EnvironmentError};
use crate::time_span::{self, NotATimeSpan};
use crate::unit::{EnvironmentFile, KillMode, Unit};
use std::{path::PathBuf, time::Duration};

/// Reads the text of a unit's file, for the unit of this name.
pub(crate) fn parse(name: &str, text: &str) -> Result<Unit, UnitError> {
    let instance = name
        .split_once('@')
        .map(|(_, rest)| rest.strip_suffix(".service").unwrap_or(rest))
        .unwrap_or_default();
    let mut draft = Draft::default();
    let mut section = String::new();
    for (index, text) in text.lines().enumerate() {
        let text = text.trim();
        let line = Line { number: index + 1, section: &section, instance };
        if text.is_empty() || text.starts_with(['#', ';']) {
            continue;
        } else if let Some(name) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, value)) = text.split_once('=').filter(|_| !text.ends_with('\\')) {
            draft.set(&line, key.trim(), value.trim())?;
        } else {
            return Err(UnitError::Syntax { line: line.number, text: text.to_owned() });
        }
    }
    draft.finish(name)
}

/// Why a unit is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum UnitError {
    #[error("line {line}: `{text}` is neither a section nor an assignment")]
    Syntax { line: usize, text: String },
    #[error(
        "line {line}: the machine's supervisor does not understand `{key}={value}` in [{section}]"
    )]
    Unknown { line: usize, section: String, key: String, value: String },
    #[error("line {line}: `{value}` is no value of `{key}`")]
    Value { line: usize, key: String, value: String },
    #[error("line {line}")]
    TimeSpan { line: usize, source: NotATimeSpan },
    #[error("line {line}")]
    Environment { line: usize, source: EnvironmentError },
    #[error("it has no `{0}`")]
    Missing(&'static str),
}

#[derive(Default)]
struct Draft {
    exec: bool,
    restart: bool,
    environment: Vec<(String, String)>,
    environment_files: Vec<EnvironmentFile>,
    working_directory: Option<PathBuf>,
    command: Option<(PathBuf, Vec<String>)>,
    restart_delay: Option<Duration>,
    stop_timeout: Option<Duration>,
    mixed: bool,
    open_files: Option<u64>,
    console: bool,
}

struct Line<'a> {
    number: usize,
    section: &'a str,
    instance: &'a str,
}

impl Draft {
    fn set(&mut self, line: &Line<'_>, key: &str, value: &str) -> Result<(), UnitError> {
        match (line.section, key, value) {
            ("Unit", "Description" | "Wants" | "After", _)
            | ("Unit", "StartLimitIntervalSec", "0")
            | ("Service", "StandardError", "inherit")
            | ("Install", "WantedBy", "multi-user.target") => {}
            ("Service", "Type", "exec") => self.exec = true,
            ("Service", "Restart", "always") => self.restart = true,
            ("Service", "KillMode", "mixed") => self.mixed = true,
            ("Service", "KillMode", "control-group") => self.mixed = false,
            ("Service", "StandardOutput", "journal") => self.console = false,
            ("Service", "StandardOutput", "journal+console") => self.console = true,
            ("Service", "RestartSec", _) => self.restart_delay = Some(line.time_span(value)?),
            ("Service", "TimeoutStopSec", _) => self.stop_timeout = Some(line.time_span(value)?),
            ("Service", "LimitNOFILE", _) => {
                let limit = value.parse().ok().filter(|limit| *limit > 0);
                self.open_files = Some(limit.ok_or_else(|| line.value(key, value))?);
            }
            ("Service", "Environment", _) => {
                let value = line.expand(key, value)?;
                let variables = environment::parse_assignments(&value)
                    .map_err(|source| UnitError::Environment { line: line.number, source })?;
                self.environment.extend(variables);
            }
            ("Service", "EnvironmentFile", _) => {
                let (optional, path) = match value.strip_prefix('-') {
                    Some(path) => (true, path),
                    None => (false, value),
                };
                let path = line.absolute(key, path)?;
                self.environment_files.push(EnvironmentFile { path, optional });
            }
            ("Service", "WorkingDirectory", _) => {
                self.working_directory = Some(line.absolute(key, value)?);
            }
            ("Service", "ExecStart", _) if self.command.is_none() => {
                if value.contains(['"', '\'', '\\', '$', ';', '|', '<', '>']) {
                    return Err(line.value(key, value));
                }
                let mut words = value.split_ascii_whitespace();
                let program = line.absolute(key, words.next().unwrap_or_default())?;
                let arguments =
                    words.map(|word| line.expand(key, word)).collect::<Result<_, _>>()?;
                self.command = Some((program, arguments));
            }
            _ => {
                return Err(UnitError::Unknown {
                    line: line.number,
                    section: line.section.to_owned(),
                    key: key.to_owned(),
                    value: value.to_owned(),
                });
            }
        }
        Ok(())
    }

    fn finish(self, name: &str) -> Result<Unit, UnitError> {
        let (program, arguments) = self.command.ok_or(UnitError::Missing("ExecStart"))?;
        if !self.exec {
            return Err(UnitError::Missing("Type=exec"));
        }
        if !self.restart {
            return Err(UnitError::Missing("Restart=always"));
        }
        Ok(Unit {
            name: name.to_owned(),
            environment: self.environment,
            environment_files: self.environment_files,
            working_directory: self.working_directory,
            program,
            arguments,
            // systemd's own defaults.
            restart_delay: self.restart_delay.unwrap_or(Duration::from_millis(100)),
            stop_timeout: self.stop_timeout.unwrap_or(Duration::from_secs(90)),
            kill_mode: if self.mixed { KillMode::Mixed } else { KillMode::ControlGroup },
            open_files: self.open_files,
            console: self.console,
        })
    }
}

impl Line<'_> {
    fn time_span(&self, value: &str) -> Result<Duration, UnitError> {
        time_span::parse(value).map_err(|source| UnitError::TimeSpan { line: self.number, source })
    }

    fn absolute(&self, key: &str, value: &str) -> Result<PathBuf, UnitError> {
        let path = self.expand(key, value)?;
        if !path.starts_with('/') || path.contains(char::is_whitespace) || path.contains("/../") {
            return Err(self.value(key, value));
        }
        Ok(PathBuf::from(path))
    }

    /// Fills `%i` and `%%` in.
    fn expand(&self, key: &str, value: &str) -> Result<String, UnitError> {
        let mut expanded = String::new();
        let mut chars = value.chars();
        while let Some(c) = chars.next() {
            match c {
                '%' => match chars.next() {
                    Some('i') => expanded.push_str(self.instance),
                    Some('%') => expanded.push('%'),
                    _ => return Err(self.value(key, value)),
                },
                c => expanded.push(c),
            }
        }
        Ok(expanded)
    }

    fn value(&self, key: &str, value: &str) -> UnitError {
        UnitError::Value { line: self.number, key: key.to_owned(), value: value.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    const MINIMAL: &str = "[Service]\nType=exec\nRestart=always\nExecStart=/opt/x\n";

    #[test]
    fn a_template_is_filled_in() {
        let text = "\
[Unit]
Description=Engine %i
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
# a comment
EnvironmentFile=/etc/disagg/env
EnvironmentFile=-/etc/disagg/engine-%i.env
Environment=A=1 \"B=100%% x\"
WorkingDirectory=/root
ExecStart=/opt/disagg/phase secrets engine@%i
Restart=always
RestartSec=2
TimeoutStopSec=1min 30s
KillMode=mixed
LimitNOFILE=524288
StandardOutput=journal+console
StandardError=inherit

[Install]
WantedBy=multi-user.target
";
        expect![[r#"
            Unit {
                name: "disagg-engine@3.service",
                environment: [
                    (
                        "A",
                        "1",
                    ),
                    (
                        "B",
                        "100% x",
                    ),
                ],
                environment_files: [
                    EnvironmentFile {
                        path: "/etc/disagg/env",
                        optional: false,
                    },
                    EnvironmentFile {
                        path: "/etc/disagg/engine-3.env",
                        optional: true,
                    },
                ],
                working_directory: Some(
                    "/root",
                ),
                program: "/opt/disagg/phase",
                arguments: [
                    "secrets",
                    "engine@3",
                ],
                restart_delay: 2s,
                stop_timeout: 90s,
                kill_mode: Mixed,
                open_files: Some(
                    524288,
                ),
                console: true,
            }
        "#]]
        .assert_debug_eq(&parse("disagg-engine@3.service", text).unwrap());
    }

    /// The units that machines are really given.
    #[test]
    fn the_units_of_the_boot_contract_are_understood() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../domain/boot/units");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(directory).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let text = std::fs::read_to_string(format!("{directory}/{name}")).unwrap();
            if let Err(error) = parse(&name.replace("@.", "@0."), &text) {
                panic!("{name}: {error}");
            }
            names.push(name);
        }
        assert!(names.len() >= 6, "{names:?}");
    }

    #[test]
    fn what_is_left_out_is_as_systemd_has_it() {
        let unit = parse("x.service", MINIMAL).unwrap();
        assert_eq!(unit.restart_delay, Duration::from_millis(100));
        assert_eq!(unit.stop_timeout, Duration::from_secs(90));
        assert_eq!(unit.kill_mode, KillMode::ControlGroup);
        assert!(!unit.console);
    }

    #[test]
    fn whatever_is_not_understood_is_refused() {
        fn check(line: &str, expect: Expect) {
            let error = parse("x.service", &format!("{MINIMAL}{line}\n")).unwrap_err();
            let mut text = error.to_string();
            if let Some(cause) = std::error::Error::source(&error) {
                text += &format!(": {cause}");
            }
            expect.assert_eq(&text);
        }
        check(
            "User=nobody",
            expect![
                "line 5: the machine's supervisor does not understand `User=nobody` in [Service]"
            ],
        );
        check(
            "Restart=on-failure",
            expect![
                "line 5: the machine's supervisor does not understand `Restart=on-failure` in [Service]"
            ],
        );
        check(
            "ExecStart=/opt/y",
            expect![
                "line 5: the machine's supervisor does not understand `ExecStart=/opt/y` in [Service]"
            ],
        );
        check(
            "[Timer]\nOnCalendar=daily",
            expect![
                "line 6: the machine's supervisor does not understand `OnCalendar=daily` in [Timer]"
            ],
        );
        check(
            "RestartSec=soon",
            expect!["line 5: `soon` is not a span of time like `90`, `500ms` or `1min 30s`"],
        );
        check("Environment=x", expect!["line 5: line 1 is no assignment"]);
        check(
            "EnvironmentFile=etc/env",
            expect!["line 5: `etc/env` is no value of `EnvironmentFile`"],
        );
        for value in ["0", "-1", "infinity", "1024:524288", "many"] {
            let error = parse("x.service", &format!("{MINIMAL}LimitNOFILE={value}\n"));
            let error = error.unwrap_err().to_string();
            assert_eq!(error, format!("line 5: `{value}` is no value of `LimitNOFILE`"));
        }
        check("WorkingDirectory=~", expect!["line 5: `~` is no value of `WorkingDirectory`"]);
        check(
            "EnvironmentFile=/etc/%H",
            expect!["line 5: `/etc/%H` is no value of `EnvironmentFile`"],
        );
        check("nonsense", expect!["line 5: `nonsense` is neither a section nor an assignment"]);
        check(
            "Environment=A=1 \\",
            expect![[r#"line 5: `Environment=A=1 \` is neither a section nor an assignment"#]],
        );
        for start in
            ["sh", "-/bin/sh", "/bin/sh -c 'x'", "/bin/echo $HOME", "/bin/true ; /bin/false"]
        {
            let text = MINIMAL.replace("/opt/x", start);
            assert!(matches!(parse("x.service", &text), Err(UnitError::Value { .. })), "{start}");
        }
        for line in ["Type=exec", "Restart=always", "ExecStart=/opt/x"] {
            let text = MINIMAL.replace(&format!("{line}\n"), "");
            assert!(matches!(parse("x.service", &text), Err(UnitError::Missing(_))), "{line}");
        }
    }
}

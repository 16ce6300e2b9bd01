//! What is asked for on the command line.

use cloud::CloudName;
use domain::id::ImportPath;
use orchestration::inventory::Scope;
use std::ffi::OsString;

pub(super) const STATUS_HELP: &str = "\
What there is of a fleet, a service or a replica group. Nothing is changed, and no state is read.

Usage: terraform-provider-disagg status [PATH] [OPTION]...

  CLOUD/REGION/FLEET[/SERVICE[/GROUP]]
                 a fleet or a part of it: each machine with what it costs, whether its router
                 sends it requests, and what about it is not as it was made
  CLOUD[/REGION] all fleets of a region, with their machines as the cloud lists them: no router
                 is asked, and no drift is looked for. Without a region it is the one of the
                 environment; without any path it is the local cloud

  --lines N      the last N lines of each machine's console too
  --json         everything as JSON
  --state-directory DIRECTORY
                 of the local cloud: the provider's `local.state_directory`; without it
                 $DISAGG_STATE_DIRECTORY, or disagg/local in the user's state directory
  --help         this text

Credentials are those of the environment, as Terraform would use them without settings in the
provider block. Ends with 0 when it is there, also when something about it is not as it was made.
";

pub(super) const LOGS_HELP: &str = "\
What machines have printed on their serial consoles, as far as their cloud keeps it.

Usage: terraform-provider-disagg logs PATH [MACHINE] [OPTION]...

  PATH           CLOUD/REGION/FLEET[/SERVICE[/GROUP]], or CLOUD[/REGION] for all fleets there
  MACHINE        the id of one machine; without it, all of them
  --lines N      only the last N lines of each
  --follow       go on with what comes, until it is stopped
  --state-directory DIRECTORY
                 of the local cloud: the provider's `local.state_directory`; without it
                 $DISAGG_STATE_DIRECTORY, or disagg/local in the user's state directory
  --help         this text
";

/// What was asked for.
#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) command: Command,
    pub(super) state_directory: Option<String>,
}

#[derive(Debug)]
pub(super) enum Command {
    Help(&'static str),
    List { place: Place, is_json: bool },
    Status { scope: Scope, is_json: bool },
    Logs { target: Target, lines: usize, machine: Option<String>, follows: bool },
}

/// What a path means.
#[derive(Debug)]
pub(super) enum Target {
    Fleets(Place),
    Scope(Scope),
}

/// A region of a cloud; without a name the one that fleets are in which name none.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) cloud: CloudName,
    pub(super) region: Option<String>,
}

/// Reads the arguments after the command's own word.
///
/// # Errors
/// With what is wrong about them.
pub(super) fn parse(
    command: &str,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Arguments, String> {
    let is_logs = command == "logs";
    let (mut words, mut state_directory, mut lines) = (Vec::new(), None, None);
    let (mut is_json, mut follows, mut needs_help) = (false, false, false);
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let argument = text(&argument)?;
        let mut value = || {
            let value = arguments.next().ok_or(format!("`{argument}` needs a value"))?;
            text(&value)
        };
        match argument.as_str() {
            "--state-directory" => state_directory = Some(value()?),
            "--lines" => {
                let number = value()?;
                lines = Some(number.parse().map_err(|_| format!("`{number}` is no number"))?);
            }
            "--json" if !is_logs => is_json = true,
            "--follow" | "-f" if is_logs => follows = true,
            "--help" | "-h" => needs_help = true,
            option if option.starts_with('-') => return Err(format!("`{option}` is no option")),
            _ => words.push(argument),
        }
    }
    let help = if is_logs { LOGS_HELP } else { STATUS_HELP };
    let command = match (&words[..], needs_help) {
        (_, true) => Command::Help(help),
        ([] | [_], _) if !is_logs => {
            let target = match words.first() {
                Some(path) => target(path, lines)?,
                None => Target::Fleets(of_this_computer()?),
            };
            match target {
                Target::Scope(scope) => Command::Status { scope, is_json },
                Target::Fleets(_) if lines.is_some() => {
                    return Err("`--lines` needs the path of a fleet".to_owned());
                }
                Target::Fleets(place) => Command::List { place, is_json },
            }
        }
        ([path, machine @ ..], _) if is_logs && machine.len() < 2 => Command::Logs {
            target: target(path, lines)?,
            lines: lines.unwrap_or(usize::MAX),
            machine: machine.first().cloned(),
            follows,
        },
        ([.., last], _) => return Err(format!("`{last}` is one argument too many")),
        ([], _) => return Err("a path is missing, as in `local/local/lab`".to_owned()),
    };
    Ok(Arguments { command, state_directory })
}

/// Where nobody has to say which account, and where.
fn of_this_computer() -> Result<Place, String> {
    let mut clouds = CloudName::ALL.into_iter();
    let cloud = clouds.find(|cloud| cloud.profile().is_this_computer);
    let cloud = cloud.ok_or_else(|| "a path is missing".to_owned())?;
    Ok(Place { cloud, region: None })
}

fn target(path: &str, lines: Option<usize>) -> Result<Target, String> {
    let (cloud, region) = match path.split('/').collect::<Vec<_>>()[..] {
        [cloud] => (cloud, None),
        [cloud, region] => (cloud, Some(region.to_owned())),
        _ => return scope(path, lines.unwrap_or_default()).map(Target::Scope),
    };
    let cloud = cloud.parse().map_err(|error| {
        format!("{error}. A path begins with one of them, as in `local/local/lab`")
    })?;
    Ok(Target::Fleets(Place { cloud, region }))
}

fn scope(path: &str, lines: usize) -> Result<Scope, String> {
    let path: ImportPath = path.parse().map_err(|error| format!("{error}"))?;
    Ok(match path {
        ImportPath::Fleet { fleet } => Scope { fleet, service: None, group: None, lines },
        ImportPath::Service { fleet, service } => {
            Scope { fleet, service: Some(service), group: None, lines }
        }
        ImportPath::Group { fleet, service, group } => {
            Scope { fleet, service: Some(service), group: Some(group), lines }
        }
    })
}

fn text(argument: &OsString) -> Result<String, String> {
    let text = argument.to_str().map(str::to_owned);
    text.ok_or_else(|| format!("`{}` is no text", argument.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn read(line: &str) -> String {
        let mut words = line.split_whitespace();
        let command = words.next().expect("a command");
        match parse(command, words.map(OsString::from)) {
            Err(error) => error,
            Ok(Arguments { command: Command::Help(_), .. }) => "help".to_owned(),
            Ok(Arguments { command: Command::Status { scope, is_json }, state_directory }) => {
                format!("{}, json {is_json}, {state_directory:?}", said(&scope))
            }
            Ok(Arguments { command: Command::List { place, is_json }, .. }) => {
                format!("fleets of {place:?}, json {is_json}")
            }
            Ok(Arguments {
                command: Command::Logs { target, lines, machine, follows }, ..
            }) => {
                let target = match target {
                    Target::Fleets(place) => format!("fleets of {place:?}"),
                    Target::Scope(scope) => said(&scope),
                };
                let lines = if lines == usize::MAX { "all".to_owned() } else { lines.to_string() };
                format!("{target}: {lines} lines, machine {machine:?}, follows {follows}")
            }
        }
    }

    fn said(Scope { fleet, service, group, lines }: &Scope) -> String {
        format!("{fleet} {service:?} {group:?}, {lines} lines")
    }

    #[test]
    fn arguments_are_checked() {
        let lines = [
            "status local/local/lab",
            "status aws/us-east-2/pd/glm/decode --json --lines 5",
            "status --state-directory /d local/local/lab",
            "logs local/local/lab/tiny m-1 --follow",
            "logs local/local/lab/tiny --lines 3",
            "logs --help",
            "status",
            "status --json",
            "status aws",
            "status aws/us-east-2 --json",
            "status aws/us-east-2 --lines 3",
            "status lab",
            "logs",
            "logs m-1",
            "logs local m-1 --lines 2",
            "status local/local/lab m-1",
            "status local/local/lab --follow",
            "logs local/local/lab m-1 m-2",
            "logs local/local/lab --lines x",
            "logs local/local/lab --lines",
        ];
        let read = lines.map(|line| format!("{line}\n    {}\n", read(line)));
        expect![[r#"
            status local/local/lab
                local/local/lab None None, 0 lines, json false, None
            status aws/us-east-2/pd/glm/decode --json --lines 5
                aws/us-east-2/pd Some("glm") Some("decode"), 5 lines, json true, None
            status --state-directory /d local/local/lab
                local/local/lab None None, 0 lines, json false, Some("/d")
            logs local/local/lab/tiny m-1 --follow
                local/local/lab Some("tiny") None, 0 lines: all lines, machine Some("m-1"), follows true
            logs local/local/lab/tiny --lines 3
                local/local/lab Some("tiny") None, 3 lines: 3 lines, machine None, follows false
            logs --help
                help
            status
                fleets of Place { cloud: Local, region: None }, json false
            status --json
                fleets of Place { cloud: Local, region: None }, json true
            status aws
                fleets of Place { cloud: Aws, region: None }, json false
            status aws/us-east-2 --json
                fleets of Place { cloud: Aws, region: Some("us-east-2") }, json true
            status aws/us-east-2 --lines 3
                `--lines` needs the path of a fleet
            status lab
                `lab` is not a cloud; the clouds are `local`, `aws`, `gcp` and `azure`. A path begins with one of them, as in `local/local/lab`
            logs
                a path is missing, as in `local/local/lab`
            logs m-1
                `m-1` is not a cloud; the clouds are `local`, `aws`, `gcp` and `azure`. A path begins with one of them, as in `local/local/lab`
            logs local m-1 --lines 2
                fleets of Place { cloud: Local, region: None }: 2 lines, machine Some("m-1"), follows false
            status local/local/lab m-1
                `m-1` is one argument too many
            status local/local/lab --follow
                `--follow` is no option
            logs local/local/lab m-1 m-2
                `m-2` is one argument too many
            logs local/local/lab --lines x
                `x` is no number
            logs local/local/lab --lines
                `--lines` needs a value
        "#]]
        .assert_eq(&read.concat());
    }
}

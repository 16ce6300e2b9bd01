//! `local …`: the machines of a local cloud, for people. It is what users break things with. What there is, and what
//! machines wrote to their consoles, is shown by the commands `status` and `logs`, as of any cloud.

use crate::gpu_claims::GpuClaims;
use crate::{LocalCloud, LocalConfig};
use cloud::InstanceId;
use std::{
    error::Error,
    ffi::OsString,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

const HELP: &str = "\
The machines of the local cloud: break them, and see what Terraform makes of it. `status` lists
them, `logs local ID` shows what one wrote to its serial console.

Usage: terraform-provider-disagg local COMMAND [ID] [OPTION]...

Look inside:
  gpus           every GPU of this computer, and who has it
  journal ID     everything the units of a machine printed

Break and mend:
  stop ID        power it off; its disk and its address are kept, the next apply starts it
  lose ID        kill it at once and remove it, as when its host burns down
  cut ID         cut it off from the network: its processes are stopped with SIGSTOP, so that
                 connections stay open and nobody answers; the machine is then `impaired`
  heal ID        mend what `cut` cut

Options:
  --state-directory DIRECTORY
                 the provider's `local.state_directory`; without it $DISAGG_STATE_DIRECTORY, or
                 disagg/local in the user's state directory ($XDG_STATE_HOME, ~/.local/state)
  --help         this text

More faults are switched on by a file `faults.json` in the state directory; it is read at every
launch, and each of its entries may be left out:
  {
    \"no_capacity\":  { \"gpu\": \"H200\", \"group\": \"decode\", \"after\": 1 },
    \"slow_boot\":    \"2s\",
    \"boot_failure\": { \"group\": \"decode\", \"first\": 1, \"program\": \"/opt/disagg/engine\" },
    \"no_processes\": true
  }
no_capacity: the zone has no more than `after` such machines. slow_boot: so long until a machine
looks at its user data. boot_failure: the program is broken on the first machines of a launch.
no_processes: for benchmarks and tests of scale, machines that are records only: running at once, at
addresses where nobody listens, with an empty console; use it with `wait_for = \"running\"`.
";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Arguments {
    command: Command,
    state_directory: Option<PathBuf>,
}

#[derive(Debug, PartialEq, Eq)]
enum Command {
    Help,
    Gpus,
    Journal(InstanceId),
    Stop(InstanceId),
    Lose(InstanceId),
    Cut(InstanceId),
    Heal(InstanceId),
}

/// Runs `local` with the arguments after that word.
pub fn local_main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match parse(arguments) {
        Ok(arguments) => arguments,
        Err(usage) => {
            // Nothing is left to be done about an error output that is closed.
            let _ = writeln!(io::stderr(), "{usage}; see `local --help`");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime
        .map_err(Box::<dyn Error>::from)
        .and_then(|runtime| runtime.block_on(run(arguments, &mut io::stdout())));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}", cloud::with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, String> {
    let mut words = Vec::new();
    let mut state_directory = None;
    let mut help = false;
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--state-directory") => {
                let directory = arguments.next().ok_or("`--state-directory` needs a directory")?;
                state_directory = Some(PathBuf::from(directory));
            }
            Some("--help" | "-h") => help = true,
            Some(word) if !word.starts_with('-') => words.push(word.to_owned()),
            _ => return Err(format!("`{}` is no option", argument.display())),
        }
    }
    let command = if help || words.is_empty() { Command::Help } else { command(&words)? };
    Ok(Arguments { command, state_directory })
}

fn command(words: &[String]) -> Result<Command, String> {
    let words = words.iter().map(String::as_str).collect::<Vec<_>>();
    let id = |id: &str| InstanceId(id.to_owned());
    match words[..] {
        ["help"] => Ok(Command::Help),
        ["gpus"] => Ok(Command::Gpus),
        ["journal", machine] => Ok(Command::Journal(id(machine))),
        ["stop", machine] => Ok(Command::Stop(id(machine))),
        ["lose", machine] => Ok(Command::Lose(id(machine))),
        ["cut", machine] => Ok(Command::Cut(id(machine))),
        ["heal", machine] => Ok(Command::Heal(id(machine))),
        [command @ ("journal" | "stop" | "lose" | "cut" | "heal")] => {
            Err(format!("`{command}` needs the id of a machine"))
        }
        [command, ..] => Err(format!("`{command}` with these arguments is no command")),
        [] => Ok(Command::Help),
    }
}

async fn run(arguments: Arguments, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    if arguments.command == Command::Help {
        return Ok(out.write_all(HELP.as_bytes())?);
    }
    let cloud = LocalCloud::open(LocalConfig::from_environment(arguments.state_directory, None)?)?;
    match arguments.command {
        Command::Help => {}
        Command::Gpus => {
            let claims = GpuClaims::open(&cloud).await?;
            let (found, occupancy) = claims.occupancy().await?;
            for (gpu, is) in found.gpus.iter().zip(occupancy) {
                writeln!(out, "{gpu}  {}  {is}", gpu.uuid)?;
            }
        }
        Command::Journal(id) => write_log(out, &cloud.journal(&id)?)?,
        Command::Stop(id) => cloud.stop(&id).await?,
        Command::Lose(id) => cloud.lose(&id).await?,
        Command::Cut(id) => cloud.cut(&id).await?,
        Command::Heal(id) => cloud.heal(&id).await?,
    }
    Ok(())
}

/// A machine that has only just been launched has printed nothing yet.
fn write_log(out: &mut impl Write, path: &Path) -> io::Result<()> {
    match fs::read(path) {
        Ok(text) => out.write_all(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn arguments_are_checked() {
        let check = |line: &str| parse(line.split_whitespace().map(OsString::from));
        let m = || InstanceId("m-1".to_owned());
        for (line, command) in [
            ("", Command::Help),
            ("stop --help", Command::Help),
            ("gpus", Command::Gpus),
            ("journal m-1", Command::Journal(m())),
            ("lose m-1", Command::Lose(m())),
        ] {
            assert_eq!(check(line).unwrap().command, command, "{line}");
        }
        assert_eq!(
            check("cut m-1 --state-directory /d"),
            Ok(Arguments { command: Command::Cut(m()), state_directory: Some("/d".into()) })
        );
        let errors =
            ["stop", "burn m-1", "stop m-1 m-2", "list", "gpus --all", "gpus --state-directory"]
                .map(|line| check(line).unwrap_err());
        expect![[r#"
            `stop` needs the id of a machine
            `burn` with these arguments is no command
            `stop` with these arguments is no command
            `list` with these arguments is no command
            `--all` is no option
            `--state-directory` needs a directory"#]]
        .assert_eq(&errors.join("\n"));
    }
}

//! `local …`: the machines of a local cloud, for people. It is what users break things with.

use crate::gpu_claims::GpuClaims;
use crate::{LocalCloud, LocalConfig};
use cloud::{Instance, InstanceId, Label, tag};
use serde_json::json;
use std::{
    error::Error,
    ffi::OsString,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

const HELP: &str = "\
The machines of the local cloud: look at them, and break them to see what Terraform makes of it.

Usage: terraform-provider-disagg local COMMAND [ID] [OPTION]...

Look:
  list           every machine: id, state, address, service, group, GPUs (--json: with all tags)
  gpus           every GPU of this computer, and who has it
  console ID     what the machine wrote to its serial console
  journal ID     everything its units printed

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
  --json         the list as JSON
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
    List { json: bool },
    Gpus,
    Console(InstanceId),
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
    let (mut json, mut help) = (false, false);
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--state-directory") => {
                let directory = arguments.next().ok_or("`--state-directory` needs a directory")?;
                state_directory = Some(PathBuf::from(directory));
            }
            Some("--json") => json = true,
            Some("--help" | "-h") => help = true,
            Some(word) if !word.starts_with('-') => words.push(word.to_owned()),
            _ => return Err(format!("`{}` is no option", argument.display())),
        }
    }
    let command = if help || words.is_empty() { Command::Help } else { command(&words, json)? };
    Ok(Arguments { command, state_directory })
}

fn command(words: &[String], json: bool) -> Result<Command, String> {
    let words = words.iter().map(String::as_str).collect::<Vec<_>>();
    let id = |id: &str| InstanceId(id.to_owned());
    match words[..] {
        ["help"] => Ok(Command::Help),
        ["list"] => Ok(Command::List { json }),
        ["gpus"] if !json => Ok(Command::Gpus),
        [command, ..] if json => Err(format!("`{command}` has no `--json`")),
        ["console", machine] => Ok(Command::Console(id(machine))),
        ["journal", machine] => Ok(Command::Journal(id(machine))),
        ["stop", machine] => Ok(Command::Stop(id(machine))),
        ["lose", machine] => Ok(Command::Lose(id(machine))),
        ["cut", machine] => Ok(Command::Cut(id(machine))),
        ["heal", machine] => Ok(Command::Heal(id(machine))),
        [command @ ("console" | "journal" | "stop" | "lose" | "cut" | "heal")] => {
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
        Command::List { json: true } => {
            let machines = with_gpus(&cloud).await?;
            let list = machines.iter().map(|(machine, gpus)| as_json(machine, gpus));
            writeln!(out, "{:#}", serde_json::Value::Array(list.collect()))?;
        }
        Command::List { json: false } => write_table(out, &with_gpus(&cloud).await?)?,
        Command::Gpus => {
            let claims = GpuClaims::open(&cloud).await?;
            let (found, occupancy) = claims.occupancy().await?;
            for (gpu, is) in found.gpus.iter().zip(occupancy) {
                writeln!(out, "{gpu}  {}  {is}", gpu.uuid)?;
            }
        }
        Command::Console(id) => write_log(out, &cloud.logs(&id)?.0)?,
        Command::Journal(id) => write_log(out, &cloud.logs(&id)?.1)?,
        Command::Stop(id) => cloud.stop(&id).await?,
        Command::Lose(id) => cloud.lose(&id).await?,
        Command::Cut(id) => cloud.cut(&id).await?,
        Command::Heal(id) => cloud.heal(&id).await?,
    }
    Ok(())
}

/// Every machine with the GPUs that it has.
async fn with_gpus(cloud: &LocalCloud) -> cloud::Result<Vec<(Instance, Vec<String>)>> {
    let machines = cloud.machines().await?;
    machines.into_iter().map(|machine| Ok((machine.clone(), cloud.gpus(&machine.id)?))).collect()
}

/// A machine that has only just been launched has printed nothing yet.
fn write_log(out: &mut impl Write, path: &Path) -> io::Result<()> {
    match fs::read(path) {
        Ok(text) => out.write_all(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn as_json(machine: &Instance, gpus: &[String]) -> serde_json::Value {
    json!({
        "gpus": gpus,
        "id": machine.id,
        "state": machine.state,
        "address": machine.ip,
        "instance_type": machine.instance_type,
        "launched_at": machine.launched_at,
        "tags": machine.tags,
    })
}

fn write_table(out: &mut impl Write, machines: &[(Instance, Vec<String>)]) -> io::Result<()> {
    // Where GPUs are pretended, no machine has any.
    let has_gpus = machines.iter().any(|(_, gpus)| !gpus.is_empty());
    let last = if has_gpus { "GPUS" } else { "" };
    let header = ["ID", "STATE", "ADDRESS", "SERVICE", "GROUP", last].map(str::to_owned);
    let rows = machines.iter().map(|(machine, gpus)| {
        let label = |label: Label| {
            let value = machine.tags.get(label).cloned();
            // A service as it is called elsewhere.
            value.map_or("-".to_owned(), |value| value.replace('_', "@"))
        };
        let address = machine.ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string());
        let state = machine.state.to_string();
        let gpus = match (has_gpus, gpus.is_empty()) {
            (false, _) => String::new(),
            (true, true) => "-".to_owned(),
            (true, false) => gpus.join(","),
        };
        [machine.id.to_string(), state, address, label(tag::SERVICE), label(tag::GROUP), gpus]
    });
    let rows = std::iter::once(header).chain(rows).collect::<Vec<_>>();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths: [usize; 6] = std::array::from_fn(width);
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloud::{InstanceState, Tags};
    use expect_test::expect;

    #[test]
    fn arguments_are_checked() {
        let check = |line: &str| parse(line.split_whitespace().map(OsString::from));
        let m = || InstanceId("m-1".to_owned());
        for (line, command) in [
            ("", Command::Help),
            ("stop --help", Command::Help),
            ("list", Command::List { json: false }),
            ("--json list", Command::List { json: true }),
            ("console m-1", Command::Console(m())),
            ("lose m-1", Command::Lose(m())),
        ] {
            assert_eq!(check(line).unwrap().command, command, "{line}");
        }
        assert_eq!(
            check("cut m-1 --state-directory /d"),
            Ok(Arguments { command: Command::Cut(m()), state_directory: Some("/d".into()) })
        );
        let errors = [
            "stop",
            "burn m-1",
            "stop m-1 m-2",
            "stop m-1 --json",
            "list --all",
            "list --state-directory",
        ]
        .map(|line| check(line).unwrap_err());
        expect![[r#"
            `stop` needs the id of a machine
            `burn` with these arguments is no command
            `stop` with these arguments is no command
            `stop` has no `--json`
            `--all` is no option
            `--state-directory` needs a directory"#]]
        .assert_eq(&errors.join("\n"));
    }

    #[test]
    fn the_list_is_a_table() {
        let machine = |id: &str, group: Option<&str>| Instance {
            id: InstanceId(id.to_owned()),
            state: InstanceState::Running,
            ip: Some(std::net::Ipv4Addr::new(127, 64, 0, 10).into()),
            instance_type: "cpu".to_owned(),
            image: None,
            launched_at: 0,
            findings: Vec::new(),
            tags: [Some((tag::SERVICE, "glm_1a2b3c4d")), group.map(|group| (tag::GROUP, group))]
                .into_iter()
                .flatten()
                .map(|(label, value)| (label, value.to_owned()))
                .collect::<Tags>(),
        };
        let table = |gpus: &[&str]| {
            let gpus = gpus.iter().map(|gpu| (*gpu).to_owned()).collect();
            let machines =
                [(machine("m-1", None), Vec::new()), (machine("m-22", Some("prefill")), gpus)];
            let mut out = Vec::new();
            write_table(&mut out, &machines).unwrap();
            String::from_utf8(out).unwrap()
        };
        expect![[r#"
            ID    STATE    ADDRESS      SERVICE       GROUP
            m-1   running  127.64.0.10  glm@1a2b3c4d  -
            m-22  running  127.64.0.10  glm@1a2b3c4d  prefill
        "#]]
        .assert_eq(&table(&[]));
        expect![[r#"
            ID    STATE    ADDRESS      SERVICE       GROUP    GPUS
            m-1   running  127.64.0.10  glm@1a2b3c4d  -        -
            m-22  running  127.64.0.10  glm@1a2b3c4d  prefill  GPU-1,GPU-2
        "#]]
        .assert_eq(&table(&["GPU-1", "GPU-2"]));
    }
}

//! The provider's process: a Terraform plugin, a command, or a machine of the local cloud.

use std::ffi::OsStr;
use std::process::ExitCode;
use terraform_provider_disagg::{Disagg, command_main};

const HELP: &str = "\
The Terraform provider for disaggregated LLM inference. Terraform starts it by itself.

  --version      its version
  --debug        serve until stopped, and print what TF_REATTACH_PROVIDERS needs
  status         what fleets there are, and what there is of one (status --help)
  logs           what machines have printed (logs --help)
  local          break the machines of the local cloud (local --help)
";

fn main() -> ExitCode {
    #[cfg(all(feature = "local", target_os = "linux"))]
    {
        let mut arguments = std::env::args_os().skip(1);
        match arguments.next().as_deref().and_then(OsStr::to_str) {
            Some("machine") => return cloud_local::machine_main(arguments),
            Some("local") => return cloud_local::local_main(arguments),
            _ => {}
        }
    }
    let mut arguments = std::env::args_os().skip(1);
    if let Some(command @ ("status" | "logs")) = arguments.next().as_deref().and_then(OsStr::to_str)
    {
        return command_main(command, arguments);
    }
    if std::env::args_os().nth(1).is_some_and(|word| word == "--help" || word == "-h") {
        // An output that is closed wants no help.
        let _ = std::io::Write::write_all(&mut std::io::stdout(), HELP.as_bytes());
        return ExitCode::SUCCESS;
    }
    plugin::serve(
        Disagg::default(),
        plugin::Serve {
            name: env!("CARGO_PKG_NAME"),
            address: "registry.terraform.io/disagg/disagg",
            version: env!("CARGO_PKG_VERSION"),
        },
    )
}

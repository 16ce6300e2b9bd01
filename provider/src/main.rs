//! The provider's process: a Terraform plugin, or a machine of the local cloud.

use std::process::ExitCode;
use terraform_provider_disagg::Disagg;

fn main() -> ExitCode {
    #[cfg(feature = "local")]
    {
        let mut arguments = std::env::args_os().skip(1);
        match arguments.next().as_deref().and_then(std::ffi::OsStr::to_str) {
            Some("machine") => return cloud_local::machine_main(arguments),
            Some("local") => return cloud_local::local_main(arguments),
            _ => {}
        }
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

//! The program of the tests' machines: what the provider's `main` does with the same arguments.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next().as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("machine") => cloud_local::machine_main(arguments),
        Some("local") => cloud_local::local_main(arguments),
        _ => ExitCode::from(2),
    }
}

//! What a plugin and its host say to each other before the first connection.

use crate::transport::Location;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::env;

const COOKIE: &str = "TF_PLUGIN_MAGIC_COOKIE";
const COOKIE_VALUE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";

/// The major version that we speak. If the host does not, it says so itself.
const PROTOCOL: u32 = 6;

/// The process was not started by Terraform, or in a way that we do not understand.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum HandshakeError {
    #[error(
        "is a Terraform provider: Terraform starts it by itself. Declare it in `required_providers` \
         and run `terraform init`; to attach a debugger, start it with `--debug`"
    )]
    NotTerraform,
    #[error("the socket's path is not UTF-8")]
    SocketPath,
}

pub(crate) fn check_cookie() -> Result<(), HandshakeError> {
    match env::var(COOKIE) {
        Ok(value) if value == COOKIE_VALUE => Ok(()),
        _ => Err(HandshakeError::NotTerraform),
    }
}

/// The one line on standard output.
pub(crate) fn line(at: &Location, certificate: Option<&[u8]>) -> Result<String, HandshakeError> {
    let (network, address) = network_and_address(at)?;
    let certificate = certificate.map(|der| STANDARD_NO_PAD.encode(der)).unwrap_or_default();
    // A host that asks about multiplexed connections gets the answer that there are none.
    let multiplex = if env::var_os("PLUGIN_MULTIPLEX_GRPC").is_some() { "|false" } else { "" };
    Ok(format!("1|{PROTOCOL}|{network}|{address}|grpc|{certificate}{multiplex}"))
}

/// The value of the variable that attaches Terraform to a process that runs already,
/// `TF_REATTACH_PROVIDERS`.
pub(crate) fn reattach(address: &str, at: &Location) -> Result<String, HandshakeError> {
    let (network, location) = network_and_address(at)?;
    let value = serde_json::json!({
        address: {
            "Protocol": "grpc",
            "ProtocolVersion": PROTOCOL,
            "Pid": std::process::id(),
            // Terraform leaves a process under test alone when its run ends.
            "Test": true,
            "Addr": { "Network": network, "String": location },
        }
    });
    Ok(value.to_string())
}

fn network_and_address(at: &Location) -> Result<(&'static str, String), HandshakeError> {
    match at {
        Location::Unix(path) => {
            Ok(("unix", path.to_str().ok_or(HandshakeError::SocketPath)?.to_owned()))
        }
        Location::Tcp(port) => Ok(("tcp", format!("127.0.0.1:{port}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_that_of_the_protocol() {
        let unix = |path: &str| Location::Unix(path.into());
        let line = line(&unix("/tmp/x/plugin.sock"), Some(&[0xfb, 0xff])).unwrap();
        assert_eq!(line, "1|6|unix|/tmp/x/plugin.sock|grpc|+/8");
        assert_eq!(super::line(&unix("/s"), None).unwrap(), "1|6|unix|/s|grpc|");
        let tcp = super::line(&Location::Tcp(10_000), Some(&[0])).unwrap();
        assert_eq!(tcp, "1|6|tcp|127.0.0.1:10000|grpc|AA");
    }

    #[test]
    fn the_reattach_variable_is_json() {
        let value = reattach("registry.terraform.io/a/b", &Location::Unix("/tmp/s".into()));
        let value: serde_json::Value = serde_json::from_str(&value.unwrap()).unwrap();
        assert_eq!(value["registry.terraform.io/a/b"]["ProtocolVersion"], 6);
        assert_eq!(value["registry.terraform.io/a/b"]["Addr"]["String"], "/tmp/s");
    }
}

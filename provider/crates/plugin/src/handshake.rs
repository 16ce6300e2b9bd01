//! What a plugin and its host say to each other before the first connection.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::{env, path::Path};

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
pub(crate) fn line(socket: &Path, certificate: Option<&[u8]>) -> Result<String, HandshakeError> {
    let socket = socket.to_str().ok_or(HandshakeError::SocketPath)?;
    let certificate = certificate.map(|der| STANDARD_NO_PAD.encode(der)).unwrap_or_default();
    // A host that asks about multiplexed connections gets the answer that there are none.
    let multiplex = if env::var_os("PLUGIN_MULTIPLEX_GRPC").is_some() { "|false" } else { "" };
    Ok(format!("1|{PROTOCOL}|unix|{socket}|grpc|{certificate}{multiplex}"))
}

/// The variable that attaches Terraform to a process that runs already.
pub(crate) fn reattach(address: &str, socket: &Path) -> String {
    let value = serde_json::json!({
        address: {
            "Protocol": "grpc",
            "ProtocolVersion": PROTOCOL,
            "Pid": std::process::id(),
            // Terraform leaves a process under test alone when its run ends.
            "Test": true,
            "Addr": { "Network": "unix", "String": socket },
        }
    });
    format!("TF_REATTACH_PROVIDERS='{value}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_that_of_the_protocol() {
        let line = line(Path::new("/tmp/x/plugin.sock"), Some(&[0xfb, 0xff])).unwrap();
        assert_eq!(line, "1|6|unix|/tmp/x/plugin.sock|grpc|+/8");
        let plain = super::line(Path::new("/s"), None).unwrap();
        assert_eq!(plain, "1|6|unix|/s|grpc|");
    }

    #[test]
    fn the_reattach_variable_is_json() {
        let line = reattach("registry.terraform.io/a/b", Path::new("/tmp/s"));
        let json =
            line.strip_prefix("TF_REATTACH_PROVIDERS='").unwrap().strip_suffix('\'').unwrap();
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(value["registry.terraform.io/a/b"]["ProtocolVersion"], 6);
        assert_eq!(value["registry.terraform.io/a/b"]["Addr"]["String"], "/tmp/s");
    }
}

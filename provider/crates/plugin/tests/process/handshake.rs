//! Before the first connection: arguments, the cookie, the line on standard output.

use crate::start::{Toy, command, within};
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

async fn output(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let sockets = tempfile::tempdir().unwrap();
    let mut command = command(sockets.path());
    command.args(arguments).envs(environment.iter().copied());
    within(command.output()).await.unwrap()
}

#[tokio::test]
async fn whoever_starts_it_by_hand_is_told_what_it_is() {
    for environment in [&[][..], &[("TF_PLUGIN_MAGIC_COOKIE", "another")]] {
        let output = output(&[], environment).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty(), "a host would take it for a handshake");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("Terraform starts it by itself"), "{text}");
    }
}

#[tokio::test]
async fn it_knows_its_arguments() {
    let version = output(&["--version"], &[]).await;
    assert_eq!(version.stdout, b"terraform-provider-toy v0.0.1\n");
    assert!(version.status.success());
    let unknown = output(&["--verbose"], &[]).await;
    assert_eq!(unknown.status.code(), Some(1));
    let text = String::from_utf8(unknown.stderr).unwrap();
    assert!(text.contains("unknown argument `--verbose`"), "{text}");
}

#[tokio::test]
async fn the_line_names_a_socket_that_listens_already() {
    let toy = Toy::start().await;
    assert_eq!(toy.fields[..3], ["1", "6", "unix"]);
    assert_eq!(toy.fields[4..], ["grpc", ""]);
    assert!(toy.socket().starts_with(toy.sockets.path()), "{:?}", toy.socket());
    let directory = toy.socket().parent().unwrap().metadata().unwrap().permissions();
    assert_eq!(directory.mode() & 0o777, 0o700, "nobody else gets to the socket");
    toy.connect().await;
}

#[tokio::test]
async fn a_host_that_asks_for_more_gets_it_or_a_no() {
    let group = rustix::process::getgid().as_raw().to_string();
    let asked = [("PLUGIN_MULTIPLEX_GRPC", "true"), ("PLUGIN_UNIX_SOCKET_GROUP", group.as_str())];
    let toy = Toy::start_with(&asked).await;
    assert_eq!(toy.fields[4..], ["grpc", "", "false"]);
    assert_eq!(toy.socket().metadata().unwrap().permissions().mode() & 0o777, 0o660);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_is_no_reason_to_do_without() {
    let cookie = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";
    let environment = [("TF_PLUGIN_MAGIC_COOKIE", cookie), ("PLUGIN_CLIENT_CERT", "nonsense")];
    let output = output(&[], &environment).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("PLUGIN_CLIENT_CERT holds no certificate"), "{text}");
}

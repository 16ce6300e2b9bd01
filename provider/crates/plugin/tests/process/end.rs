//! How the process ends: at once when it is told to or Terraform is gone, and never by Ctrl-C.

use crate::start::Toy;
use plugin::proto::plugin::{Empty, grpc_controller_client::GrpcControllerClient};
use plugin::proto::tfplugin6::get_metadata;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

/// What Ctrl-C does to every process of the terminal.
pub(crate) fn interrupt(process: &Child) {
    send(process, Signal::INT);
}

fn send(process: &Child, signal: Signal) {
    let pid = i32::try_from(process.id().expect("it runs")).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn a_shutdown_is_answered_and_nothing_is_left() {
    let mut toy = Toy::start().await;
    let mut controller = GrpcControllerClient::new(toy.connect().await);
    controller.shutdown(Empty {}).await.unwrap();
    assert!(toy.end().await.success());
    assert!(toy.has_cleaned_up());
    assert_eq!(toy.stdout.next_line().await.unwrap(), None, "one line and no more");
}

#[tokio::test]
async fn it_ends_when_terraform_is_gone() {
    let mut toy = Toy::start().await;
    let mut provider = toy.provider().await;
    provider.get_metadata(get_metadata::Request {}).await.unwrap();
    drop(provider);
    assert!(toy.end().await.success());
    assert!(toy.has_cleaned_up());
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn it_ends_when_terraform_is_gone_before_it_has_connected() {
    use crate::start::{COOKIE, command, within};

    let sockets = tempfile::tempdir().unwrap();
    let provider = command(sockets.path());
    // A parent that starts the provider, waits for its line and ends.
    let mut parent = tokio::process::Command::new("/bin/bash");
    parent.args(["-c", r#"coproc "$0"; read -r line <&"${COPROC[0]}"; echo "$line""#]);
    parent.arg(provider.as_std().get_program()).env("PLUGIN_UNIX_SOCKET_DIR", sockets.path());
    parent.env("TF_PLUGIN_MAGIC_COOKIE", COOKIE).env_remove("PLUGIN_CLIENT_CERT");
    // Its standard error is the provider's as well: all of it is there when both have ended.
    let output = within(parent.output()).await.unwrap();
    assert!(output.stdout.starts_with(b"1|6|unix|"), "{output:?}");
    assert!(std::fs::read_dir(sockets.path()).unwrap().next().is_none());
}

#[tokio::test]
async fn it_ends_in_order_when_it_is_terminated() {
    let mut toy = Toy::start().await;
    send(&toy.process, Signal::TERM);
    assert!(toy.end().await.success());
    assert!(toy.has_cleaned_up());
}

#[tokio::test]
async fn ctrl_c_is_terraforms_affair() {
    let mut toy = Toy::start().await;
    let mut provider = toy.provider().await;
    interrupt(&toy.process);
    provider.get_metadata(get_metadata::Request {}).await.unwrap();
    interrupt(&toy.process);
    provider.get_metadata(get_metadata::Request {}).await.unwrap();
    assert_eq!(toy.process.try_wait().unwrap(), None);
}

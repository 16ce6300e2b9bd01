//! Starts the toy provider and connects to it, as a plugin host does.

use crate::mutual_tls::Client;
use hyper_util::rt::TokioIo;
use plugin::proto::tfplugin6::provider_client::ProviderClient;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

pub(crate) const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";

/// Long enough for a loaded machine; whatever is waited for comes at once or never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The toy provider's program, which `cargo test` builds with the tests.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/toy");
    assert!(program.exists(), "build it first: cargo build --release -p plugin --example toy");
    program
}

/// The program with nothing in its environment but what a host sets.
pub(crate) fn command(sockets: &Path) -> Command {
    let mut command = Command::new(program());
    command.env_clear().env("PLUGIN_UNIX_SOCKET_DIR", sockets);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A running toy provider.
pub(crate) struct Toy {
    pub(crate) process: Child,
    /// The handshake's fields.
    pub(crate) fields: Vec<String>,
    pub(crate) stdout: Lines<BufReader<ChildStdout>>,
    pub(crate) stderr: Lines<BufReader<ChildStderr>>,
    /// Where the socket's directory is; nothing else is in it.
    pub(crate) sockets: TempDir,
}

impl Toy {
    /// Started as Terraform starts it, without TLS.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same, with more in its environment.
    pub(crate) async fn start_with(environment: &[(&str, &str)]) -> Self {
        let sockets = tempfile::tempdir().unwrap();
        let mut command = command(sockets.path());
        command.env("TF_PLUGIN_MAGIC_COOKIE", COOKIE).env("PLUGIN_PROTOCOL_VERSIONS", "5,6");
        command.env("TF_LOG_PROVIDER", "INFO").envs(environment.iter().copied());
        let mut process = command.spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap()).lines();
        let stderr = BufReader::new(process.stderr.take().unwrap()).lines();
        let line = within(stdout.next_line()).await.unwrap().expect("a handshake");
        let fields = line.split('|').map(str::to_owned).collect();
        Self { process, fields, stdout, stderr, sockets }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> &Path {
        Path::new(&self.fields[3])
    }

    /// A connection without TLS.
    pub(crate) async fn connect(&self) -> Channel {
        connect(self.socket()).await
    }

    /// Its provider service, over a connection of its own.
    pub(crate) async fn provider(&self) -> ProviderClient<Channel> {
        ProviderClient::new(self.connect().await)
    }

    /// The next line of its log that has this message.
    pub(crate) async fn logged(&mut self, message: &str) -> serde_json::Value {
        loop {
            let line = within(self.stderr.next_line()).await.unwrap().expect("more log");
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            if line["@message"] == message {
                return line;
            }
        }
    }

    /// Waits for its end.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        within(self.process.wait()).await.unwrap()
    }

    /// Whether nothing is left where its socket was.
    pub(crate) fn has_cleaned_up(&self) -> bool {
        std::fs::read_dir(self.sockets.path()).unwrap().next().is_none()
    }
}

/// A connection without TLS.
pub(crate) async fn connect(socket: &Path) -> Channel {
    let socket = socket.to_owned();
    let connector = service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    within(Endpoint::from_static("http://localhost").connect_with_connector(connector))
        .await
        .unwrap()
}

/// A connection with TLS.
pub(crate) async fn connect_with_tls(socket: &Path, client: &Client) -> Channel {
    let (socket, client) = (socket.to_owned(), client.clone());
    let connector = service_fn(move |_| {
        let (socket, client) = (socket.clone(), client.clone());
        async move { client.connect(&socket).await.map(TokioIo::new) }
    });
    within(Endpoint::from_static("http://localhost").connect_with_connector(connector))
        .await
        .unwrap()
}

/// What comes at once or never.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it comes in time")
}

//! The socket, with and without TLS, and the count of who is connected.

use rustls::ServerConfig;
use std::env;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::transport::server::Connected;

/// A socket in a directory of its own, which nobody else can enter.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
    socket: Socket,
    tls: Option<Arc<ServerConfig>>,
    connections: watch::Sender<Connections>,
}

/// The socket's directory; it goes with this.
#[derive(Clone, Debug)]
pub(crate) struct Socket {
    path: PathBuf,
    _directory: Arc<tempfile::TempDir>,
}

/// How many connections there are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Connections {
    /// Now.
    pub(crate) current: usize,
    /// Since the start.
    pub(crate) ever: usize,
}

impl Listener {
    pub(crate) fn bind(tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let above = env::var_os("PLUGIN_UNIX_SOCKET_DIR").filter(|directory| !directory.is_empty());
        let above = above.map_or_else(env::temp_dir, PathBuf::from);
        let only_us = std::fs::Permissions::from_mode(0o700);
        let directory =
            tempfile::Builder::new().prefix("plugin").permissions(only_us).tempdir_in(above)?;
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path)?;
        if let Some(group) =
            env::var_os("PLUGIN_UNIX_SOCKET_GROUP").filter(|group| !group.is_empty())
        {
            open_to_group(&path, directory.path(), &group.to_string_lossy())?;
        }
        let socket = Socket { path, _directory: Arc::new(directory) };
        Ok(Self { listener, socket, tls, connections: watch::Sender::default() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.socket.path
    }

    pub(crate) fn socket(&self) -> Socket {
        self.socket.clone()
    }

    pub(crate) fn connections(&self) -> watch::Receiver<Connections> {
        self.connections.subscribe()
    }

    /// Connections, as they are accepted. A TLS handshake that fails or never ends holds up nobody.
    pub(crate) fn accept(self) -> impl Stream<Item = io::Result<Connection>> {
        let (sender, receiver) = mpsc::channel(8);
        tokio::spawn(async move {
            loop {
                let stream = match self.listener.accept().await {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        if sender.send(Err(error)).await.is_err() {
                            return;
                        }
                        continue;
                    }
                };
                let (tls, sender) = (self.tls.clone(), sender.clone());
                let connections = self.connections.clone();
                tokio::spawn(async move {
                    let transport = match tls {
                        None => Transport::Plain(stream),
                        Some(config) => match TlsAcceptor::from(config).accept(stream).await {
                            Ok(stream) => Transport::Tls(Box::new(stream)),
                            Err(error) => {
                                tracing::warn!(%error, "refused a connection");
                                return;
                            }
                        },
                    };
                    // Whoever was refused was never connected: the process outlives a stranger.
                    let _counted = Counted::new(connections);
                    let _ = sender.send(Ok(Connection { transport, _counted })).await;
                });
            }
        });
        ReceiverStream::new(receiver).filter(|accepted| accepted.is_ok())
    }
}

fn open_to_group(socket: &Path, directory: &Path, group: &str) -> io::Result<()> {
    let id = match group.parse() {
        Ok(id) => id,
        Err(_) => group_id(group)?,
    };
    for (path, mode) in [(directory, 0o750), (socket, 0o660)] {
        rustix::fs::chown(path, None, Some(rustix::fs::Gid::from_raw(id)))?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn group_id(name: &str) -> io::Result<u32> {
    let groups = std::fs::read_to_string("/etc/group")?;
    let mut entries = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let entry = entries.find(|fields| fields.first() == Some(&name));
    let id = entry.and_then(|fields| fields.get(2)?.parse().ok());
    id.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no group `{name}`")))
}

/// One connection of the host.
#[derive(Debug)]
pub(crate) struct Connection {
    transport: Transport,
    _counted: Counted,
}

#[derive(Debug)]
enum Transport {
    Plain(UnixStream),
    Tls(Box<TlsStream<UnixStream>>),
}

/// Counts its connection for as long as it lives.
#[derive(Debug)]
struct Counted(watch::Sender<Connections>);

impl Counted {
    fn new(connections: watch::Sender<Connections>) -> Self {
        connections.send_modify(|open| {
            open.current += 1;
            open.ever += 1;
        });
        Self(connections)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|open| open.current -= 1);
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(context),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

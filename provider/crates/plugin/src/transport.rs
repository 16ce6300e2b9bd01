//! What connections come in on: a Unix socket that only we can enter, or, where none can be made, a port
//! of the loopback interface.

use std::env;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// A bound socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Unix(UnixListener, SocketFile),
    Tcp(TcpListener, u16),
}

/// The socket's directory; it goes with this.
#[derive(Clone, Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    _directory: Arc<tempfile::TempDir>,
}

/// Where a host finds the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    Unix(PathBuf),
    /// A port of 127.0.0.1.
    Tcp(u16),
}

impl Socket {
    /// A Unix socket; where its path is too long or nothing can be written, a port, if only the host
    /// that started us can use it.
    pub(crate) fn bind(only_for_the_host: bool) -> io::Result<Self> {
        match unix() {
            Ok(socket) => Ok(socket),
            Err(error) if only_for_the_host => {
                tracing::debug!(%error, "no Unix socket; a port of the loopback interface instead");
                tcp()
            }
            Err(error) => Err(io::Error::new(
                error.kind(),
                format!(
                    "no Unix socket can be made ({error}), and without TLS no other way is safe; \
                     set TMPDIR to a short path that can be written"
                ),
            )),
        }
    }

    pub(crate) fn location(&self) -> Location {
        match self {
            Self::Unix(_, file) => Location::Unix(file.path.clone()),
            Self::Tcp(_, port) => Location::Tcp(*port),
        }
    }

    /// What is to be kept as long as somebody may connect.
    pub(crate) fn file(&self) -> Option<SocketFile> {
        match self {
            Self::Unix(_, file) => Some(file.clone()),
            Self::Tcp(..) => None,
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        Ok(match self {
            Self::Unix(listener, _) => Stream::Unix(listener.accept().await?.0),
            Self::Tcp(listener, _) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
        })
    }
}

fn unix() -> io::Result<Socket> {
    let above = env::var_os("PLUGIN_UNIX_SOCKET_DIR").filter(|directory| !directory.is_empty());
    let above = above.map_or_else(env::temp_dir, PathBuf::from);
    let only_us = std::fs::Permissions::from_mode(0o700);
    let directory =
        tempfile::Builder::new().prefix("plugin").permissions(only_us).tempdir_in(above)?;
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path)?;
    if let Some(group) = env::var_os("PLUGIN_UNIX_SOCKET_GROUP").filter(|group| !group.is_empty()) {
        open_to_group(&path, directory.path(), &group.to_string_lossy())?;
    }
    Ok(Socket::Unix(listener, SocketFile { path, _directory: Arc::new(directory) }))
}

/// The first free port of those that the host allows.
fn tcp() -> io::Result<Socket> {
    let limit = |name: &str| env::var(name).ok().and_then(|port| port.parse::<u16>().ok());
    let (least, most) = (limit("PLUGIN_MIN_PORT"), limit("PLUGIN_MAX_PORT"));
    let ports = least.unwrap_or(0)..=most.or(least).unwrap_or(0);
    let mut refused = None;
    for port in ports {
        match std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => {
                listener.set_nonblocking(true)?;
                let port = listener.local_addr()?.port();
                return Ok(Socket::Tcp(TcpListener::from_std(listener)?, port));
            }
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
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

/// One connection, before TLS.
#[derive(Debug)]
pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

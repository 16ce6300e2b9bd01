//! The socket with and without TLS, and the count of who is connected.

use crate::transport::{Location, Socket, SocketFile, Stream};
use rustls::ServerConfig;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, watch};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::transport::server::Connected;

/// A socket, and what stands between it and the requests.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    tls: Option<Arc<ServerConfig>>,
    connections: watch::Sender<Connections>,
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
        let socket = Socket::bind(tls.is_some())?;
        Ok(Self { socket, tls, connections: watch::Sender::default() })
    }

    pub(crate) fn location(&self) -> Location {
        self.socket.location()
    }

    pub(crate) fn file(&self) -> Option<SocketFile> {
        self.socket.file()
    }

    pub(crate) fn connections(&self) -> watch::Receiver<Connections> {
        self.connections.subscribe()
    }

    /// Connections, as they are accepted. A TLS handshake that fails or never ends holds up nobody.
    pub(crate) fn accept(self) -> impl tokio_stream::Stream<Item = io::Result<Connection>> {
        let (sender, receiver) = mpsc::channel(8);
        tokio::spawn(async move {
            loop {
                let stream = match self.socket.accept().await {
                    Ok(stream) => stream,
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

/// One connection of the host.
#[derive(Debug)]
pub(crate) struct Connection {
    transport: Transport,
    _counted: Counted,
}

#[derive(Debug)]
enum Transport {
    Plain(Stream),
    Tls(Box<TlsStream<Stream>>),
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

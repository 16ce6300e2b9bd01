//! The process: started by Terraform, or in debug mode by hand.

use crate::handshake::{self, HandshakeError};
use crate::host::HostServices;
use crate::listener::Listener;
use crate::log;
use crate::parent;
use crate::proto::health::health_server::HealthServer;
use crate::proto::plugin::{
    grpc_broker_server::GrpcBrokerServer, grpc_controller_server::GrpcControllerServer,
    grpc_stdio_server::GrpcStdioServer,
};
use crate::proto::tfplugin6::provider_server::ProviderServer;
use crate::provider::Provider;
use crate::service::ProviderService;
use crate::tls;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Who is being served.
#[derive(Clone, Copy, Debug)]
pub struct Serve {
    /// The binary's name: `terraform-provider-disagg`.
    pub name: &'static str,
    /// The provider's whole address: `registry.terraform.io/disagg/disagg`.
    pub address: &'static str,
    /// The provider's version.
    pub version: &'static str,
}

/// Runs the provider's process to its end. Arguments: none when Terraform starts it, `--debug` to
/// serve a Terraform that is told where (`TF_REATTACH_PROVIDERS`), `--version`.
pub fn serve<P: Provider>(provider: P, options: Serve) -> ExitCode {
    let argument = std::env::args().nth(1);
    let debug = match argument.as_deref() {
        None => false,
        Some("--debug" | "-debug") => true,
        Some("--version" | "-version") => {
            // No plugin protocol has begun, so standard output is free.
            let _ = writeln!(std::io::stdout(), "{} v{}", options.name, options.version);
            return ExitCode::SUCCESS;
        }
        Some(other) => {
            complain(&format!("unknown argument `{other}`; there are `--debug` and `--version`"));
            return ExitCode::FAILURE;
        }
    };
    if !debug && let Err(error) = handshake::check_cookie() {
        complain(&format!("{} {error}", options.name));
        return ExitCode::FAILURE;
    }
    log::init();
    // Terraform sends ten requests at a time, and each of them waits more than it computes.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = match runtime {
        Ok(runtime) => {
            let served = runtime.block_on(async {
                if debug {
                    serve_debug(provider, options).await
                } else {
                    serve_plugin(provider).await
                }
            });
            // A name that is still being looked up, say, holds up nobody.
            runtime.shutdown_background();
            served
        }
        Err(error) => Err(ServeError::Io(error)),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{}: {error}", options.name));
            ExitCode::FAILURE
        }
    }
}

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("input/output: {0}")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    #[error("gRPC: {0}")]
    Transport(#[from] tonic::transport::Error),
}

async fn serve_plugin<P: Provider>(provider: P) -> Result<(), ServeError> {
    // Ctrl-C reaches the whole process group; Terraform tells us in its own way (StopProvider).
    let mut interrupts = signal(SignalKind::interrupt())?;
    tokio::spawn(async move { while interrupts.recv().await.is_some() {} });
    let mut terminations = signal(SignalKind::terminate())?;

    let tls = match std::env::var("PLUGIN_CLIENT_CERT") {
        Ok(pem) if !pem.is_empty() => Some(tls::server(&pem)?),
        _ => None,
    };
    let certificate = tls.as_ref().map(|tls| tls.certificate.clone());
    let listener = Listener::bind(tls.map(|tls| tls.config))?;
    let (mut connections, mut hanging_up) = (listener.connections(), listener.connections());
    let host = HostServices { shutdown: CancellationToken::new() };
    let orphaned = CancellationToken::new();
    // Terraform may also be gone before it has ever connected.
    let parent = parent::end();
    let line = handshake::line(&listener.location(), certificate.as_deref())?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}")?;
    stdout.flush()?;

    let socket = listener.file();
    let server = router(provider, &host, orphaned.clone()).serve_with_incoming(listener.accept());
    tokio::select! {
        served = server => served?,
        () = host.shutdown.cancelled() => {
            // The answer is on its way when the host hangs up; it never takes long.
            let hung_up = hanging_up.wait_for(|open| open.current == 0);
            let _ = tokio::time::timeout(Duration::from_millis(50), hung_up).await;
        }
        _ = connections.wait_for(|open| open.ever > 0 && open.current == 0) => {
            // Terraform is gone. What is under way is found again by the next apply.
            orphaned.cancel();
        }
        () = parent => orphaned.cancel(),
        _ = terminations.recv() => orphaned.cancel(),
    }
    drop(socket);
    Ok(())
}

async fn serve_debug<P: Provider>(provider: P, options: Serve) -> Result<(), ServeError> {
    let listener = Listener::bind(None)?;
    let value = handshake::reattach(options.address, &listener.location())?;
    let mut stdout = std::io::stdout();
    writeln!(
        stdout,
        "Provider started. To attach Terraform to it, set:\n\n\tTF_REATTACH_PROVIDERS='{value}'\n"
    )?;
    stdout.flush()?;
    let host = HostServices { shutdown: CancellationToken::new() };
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let socket = listener.file();
    let server =
        router(provider, &host, CancellationToken::new()).serve_with_incoming(listener.accept());
    tokio::select! {
        served = server => served?,
        _ = interrupts.recv() => {}
        _ = terminations.recv() => {}
    }
    drop(socket);
    Ok(())
}

/// Plans and states of large configurations are large messages.
const MOST_BYTES: usize = 256 << 20;

pub(crate) fn router<P: Provider>(
    provider: P,
    host: &HostServices,
    orphaned: CancellationToken,
) -> tonic::transport::server::Router {
    let service = ProviderServer::new(ProviderService::new(provider, orphaned))
        .max_decoding_message_size(MOST_BYTES)
        .max_encoding_message_size(MOST_BYTES);
    tonic::transport::Server::builder()
        .add_service(service)
        .add_service(GrpcControllerServer::new(host.clone()))
        .add_service(GrpcBrokerServer::new(host.clone()))
        .add_service(GrpcStdioServer::new(host.clone()))
        .add_service(HealthServer::new(host.clone()))
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

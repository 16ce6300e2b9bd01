//! A provider in the test's own process, driven by the real Terraform: what it counts, the test sees.

use crate::handshake;
use crate::host::HostServices;
use crate::listener::Listener;
use crate::provider::Provider;
use crate::serve::router;
use std::sync::mpsc;
use std::thread::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A provider that is being served from a thread of this process; it ends with this.
#[derive(Debug)]
pub struct Attached {
    reattach: String,
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Attached {
    /// Serves `provider` under its whole address, as in `registry.terraform.io/disagg/disagg`.
    ///
    /// # Panics
    /// When no socket can be made.
    pub fn serve<P: Provider>(provider: P, address: &'static str) -> Self {
        let end = CancellationToken::new();
        let (ended, (sender, receiver)) = (end.clone(), mpsc::channel());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = Listener::bind(None).expect("a socket");
                let value = handshake::reattach(address, &listener.location());
                let socket = listener.file();
                sender.send(value.expect("a path in UTF-8")).expect("the test waits");
                let host = HostServices { shutdown: CancellationToken::new() };
                let server = router(provider, &host, CancellationToken::new());
                tokio::select! {
                    served = server.serve_with_incoming(listener.accept()) => {
                        served.expect("the server ends with the test");
                    }
                    () = ended.cancelled() => {}
                }
                drop(socket);
            });
        });
        let reattach = receiver.recv().expect("the thread says where it is");
        Self { reattach, end, thread: Some(thread) }
    }

    /// The value of `TF_REATTACH_PROVIDERS` for Terraform.
    pub fn reattach(&self) -> &str {
        &self.reattach
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.end.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed; a second one here would hide it.
            let _ = thread.join();
        }
    }
}

//! An AWS that takes connections and answers nothing.

use acceptance::{Workspace, patient, signal, wait_until};
use rustix::process::Signal;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Listens, and keeps what connects to it without a word.
struct Silence {
    endpoint: String,
    connections: Arc<AtomicUsize>,
}

impl Silence {
    fn begin() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for connection in listener.incoming() {
                kept.push(connection);
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { endpoint: format!("http://{address}"), connections }
    }
}

/// More fleets than Terraform reads at a time.
fn fleets(read: &str) -> String {
    format!(
        "resource \"disagg_fleet\" \"pd\" {{\n  count = 40\n  name = \"pd-${{count.index}}\"\n  \
         cloud = \"aws\"\n  zone = \"us-east-2a\"\n  timeouts = {{ read = \"{read}\" }}\n}}\n"
    )
}

#[test]
fn a_refresh_waits_once_and_a_stop_ends_it() {
    let workspace = Workspace::on_aws();
    workspace.apply(&fleets("8s"));
    let begun = Instant::now();
    workspace.assert_no_changes();
    let answered = begun.elapsed();

    let silence = Silence::begin();
    let workspace = workspace.with_env("AWS_ENDPOINT_URL", &silence.endpoint);
    let begun = Instant::now();
    let run = workspace.plan_fails(&fleets("8s"));
    let silent = begun.elapsed().saturating_sub(answered);
    println!("a refresh of 40 fleets takes {answered:?}, and {silent:?} more without an answer");
    run.says(&[
        "Cloud did not answer in time: could not read fleet",
        "`timeouts.read` (8s) was over",
    ]);
    // Four rounds of ten would be 32 seconds.
    let slack = patient(Duration::from_millis(800));
    assert!(silent < Duration::from_secs(8) + slack, "{silent:?}");

    let before = silence.connections.load(Ordering::SeqCst);
    let mut plan = workspace.start_terraform(&["plan", "-lock=false"]);
    wait_until("the cloud is asked", || {
        silence.connections.load(Ordering::SeqCst) > before
            || plan.try_wait().expect("wait").is_some()
    });
    let begun = Instant::now();
    signal(&plan, Signal::INT);
    let ended = plan.wait().expect("it ends by itself");
    let taken = begun.elapsed();
    println!("a stop ends it within {taken:?}");
    assert!(!ended.success());
    assert!(taken < patient(Duration::from_secs(3)), "{taken:?}, with Terraform's own end");
}

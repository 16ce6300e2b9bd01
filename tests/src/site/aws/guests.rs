//! What routers and workers print on their consoles, as far as the provider reads it: a stand-in for
//! machines that nobody boots, so that a thousand of them cost nothing.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use cloudsim::datacentre::{Guest, Running};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::fmt::Write;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What goes wrong with what runs on machines.
#[derive(Debug, Default)]
pub(crate) struct Outages {
    /// The group whose machines do not come up, and how many of each launch; all without it.
    pub(crate) failing: Option<(&'static str, Option<u32>)>,
    /// Workers that are let go do not come to the end of what runs on them.
    pub(crate) are_busy: bool,
}

impl Outages {
    /// The phase that a machine's boot fails in, and what it says then.
    fn failure(&self, machine: &Running) -> Option<(String, String)> {
        let phase = if machine.tags.contains_key("disagg:group") { "engine" } else { "frontend" };
        if self.strikes(machine) {
            return Some((phase.to_owned(), "/opt/disagg/engine: not found".to_owned()));
        }
        let has_wrong_flag = arguments_of(&machine.user_data).contains(WRONG_FLAG);
        has_wrong_flag.then(|| (phase.to_owned(), format!("unrecognized arguments: {WRONG_FLAG}")))
    }

    fn strikes(&self, machine: &Running) -> bool {
        let Some((failing, first)) = self.failing else { return false };
        let is_meant = machine.tags.get("disagg:group").is_some_and(|group| group == failing);
        is_meant && first.is_none_or(|first| machine.index < first)
    }
}

/// The software on the machines of a fleet.
#[derive(Debug)]
pub(crate) struct Guests(pub(crate) Arc<Mutex<Outages>>);

impl Guest for Guests {
    fn console(&self, machine: &Running, all: &[Running]) -> String {
        let outages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let role = machine.tags.get("disagg:role").map_or("unknown", String::as_str);
        let mut text = String::new();
        // A console keeps what earlier boots have printed.
        for boot in 1..machine.boot + u32::from(machine.is_off) {
            let _ = writeln!(text, "{}", state(machine, boot, role, "ready", ""));
        }
        let Some(up_for) = machine.up_for else { return text };
        let boot = machine.boot;
        if let Some((phase, line)) = outages.failure(machine) {
            let failed = format!("status=failed phase={phase} attempts=3 code=127");
            let _ = writeln!(text, "disagg-state boot={}-{boot} role={role} {failed}", machine.id);
            let _ = writeln!(text, "disagg-log {line}\ndisagg-end");
            return text;
        }
        if machine.tags.contains_key("disagg:group") {
            let phase = machine.shown_tags.get("disagg:phase");
            let is_let_go = phase.is_some_and(|phase| phase == "draining");
            let status = match up_for >= REGISTERS {
                _ if is_let_go && outages.are_busy => "draining",
                _ if is_let_go => "drained",
                true => "registered",
                false => "starting",
            };
            let _ = writeln!(text, "{}", state(machine, boot, role, status, "engines=1/1"));
            return text;
        }
        let _ = writeln!(text, "{}", state(machine, boot, role, "starting", "workers=-"));
        if up_for >= SERVES {
            let service = machine.tags.get("disagg:service");
            let is_worker = |other: &&Running| {
                other.tags.get("disagg:service") == service
                    && other.tags.contains_key("disagg:group")
                    && other.up_for.is_some_and(|up_for| up_for >= REGISTERS)
                    && outages.failure(other).is_none()
            };
            let has = |role: &str| {
                let mut workers = all.iter().filter(is_worker);
                workers.any(|worker| worker.tags.get("disagg:role").is_some_and(|own| own == role))
            };
            let serves = has("worker") || (has("prefill") && has("decode"));
            let chat = if serves { "ok" } else { "none" };
            let workers = all.iter().filter(is_worker).filter_map(|worker| worker.ip);
            let workers: Vec<String> = workers.map(|ip| format!("{ip}*1")).collect();
            let workers = if workers.is_empty() { "-".to_owned() } else { workers.join(",") };
            let details = format!("etcd=up nats=up frontend=up chat={chat} workers={workers}");
            let _ = writeln!(text, "{}", state(machine, boot, role, "ready", &details));
        }
        text
    }
}

/// The arguments that a machine's user data gives its programs.
fn arguments_of(user_data: &str) -> String {
    let mut text = String::new();
    let bytes = BASE64_STANDARD.decode(user_data).unwrap_or_default();
    // What is no gzip and no document of ours has no arguments either.
    let _ = GzDecoder::new(bytes.as_slice()).read_to_string(&mut text);
    let document = text.strip_prefix("#cloud-config\n").unwrap_or_default();
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let files = document["write_files"].as_array().cloned().unwrap_or_default();
    let is_meant = |file: &&Value| file["path"].as_str().is_some_and(|path| path.ends_with("args"));
    let content = |file: &Value| {
        let content = file["content"].as_str()?;
        if file["encoding"].is_null() {
            return Some(content.to_owned());
        }
        let content = BASE64_STANDARD.decode(content).ok()?;
        Some(String::from_utf8_lossy(&content).into_owned())
    };
    files.iter().filter(is_meant).filter_map(content).collect()
}

fn state(machine: &Running, boot: u32, role: &str, status: &str, details: &str) -> String {
    format!("disagg-state boot={}-{boot} role={role} status={status} {details}", machine.id)
}

/// An argument that no program of Dynamo's knows.
const WRONG_FLAG: &str = "--no-such-flag";
/// From running to a router that serves.
const SERVES: Duration = Duration::from_millis(100);
/// From running to a worker that has registered.
const REGISTERS: Duration = Duration::from_millis(300);

//! What machines print on their serial console: state lines and reports of failed phases.
//!
//! A line of ours begins with `disagg-`, at the start of the line or behind what the journal puts
//! there (`[   12.345678] disagg-ready[410]: `). Other lines may stand between ours, lines may be cut
//! off, and a console keeps what earlier boots printed: only the latest boot counts.

use std::collections::BTreeMap;
use std::{fmt, net::IpAddr};

/// The latest state that a machine told of itself, if it has told any.
pub fn latest_state(console: &str) -> Option<MachineState> {
    console.lines().rev().filter_map(|line| marked(line, STATE)).find_map(MachineState::parse)
}

/// Whether it has ever said that it was ready, in whatever boot.
pub fn was_ready(console: &str) -> bool {
    let states = console.lines().filter_map(|line| marked(line, STATE));
    states.filter_map(MachineState::parse).any(|state| state.is_ready())
}

/// The latest report of a phase that failed, unless the machine has been rebooted or has become
/// ready since. A report whose end has not arrived yet is none.
pub fn failure(console: &str) -> Option<BootFailure> {
    let mut latest: Option<(String, BootFailure)> = None;
    let mut open: Option<(String, BootFailure)> = None;
    for line in console.lines() {
        if let Some(words) = marked(line, STATE) {
            let words = words_of(words);
            let Some(boot) = words.get("boot").map(|boot| (*boot).to_owned()) else { continue };
            if words.get("status") == Some(&"failed") {
                open = BootFailure::begin(&words).map(|failure| (boot, failure));
                continue;
            }
            let is_up = words.get("status").is_some_and(|status| *status != "starting");
            if is_up || latest.as_ref().is_some_and(|(failed, _)| *failed != boot) {
                latest = None;
            }
        } else if let Some(log) = marked(line, LOG) {
            if let Some((_, failure)) = &mut open {
                failure.lines.push(log.to_owned());
            }
        } else if marked(line, END).is_some() && open.is_some() {
            latest = open.take();
        }
    }
    latest.map(|(_, failure)| failure)
}

/// A line as it is read by people: without what moves a terminal's cursor or colours it.
pub fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        if char == '\u{1b}' {
            // An escape sequence: `ESC [`, parameters, and a letter; or ESC and one character.
            if chars.next() == Some('[') {
                let _ = chars.find(|char| ('@'..='~').contains(char));
            }
        } else if !char.is_control() || char == '\t' {
            text.push(char);
        }
    }
    text
}

/// One state line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineState {
    /// The boot that printed it.
    pub boot: String,
    /// `router`, `prefill`, `decode` or `worker`.
    pub role: String,
    /// `starting`, and then `ready` (router), `registered` or `running` (worker); of a worker that drains
    /// by itself because it was let go `draining`, and at the end `drained`.
    pub status: String,
    /// The rest, as it was printed: `etcd=up nats=up frontend=down`, `engines=1/8`.
    details: String,
    workers: BTreeMap<IpAddr, usize>,
    refused: BTreeMap<IpAddr, Refusal>,
}

/// Why a router's frontend sends no request to engines that are registered and healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What differs: `model_path`, `context_length`, `kv_block_size`, or `files` of the model.
    pub what: String,
    /// What these have.
    pub theirs: String,
    /// What those have that the frontend accepted first.
    pub accepted: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, theirs, accepted } = self;
        let what = match what.as_str() {
            "model_path" => "model path",
            "context_length" => "context length",
            "kv_block_size" => "KV block size",
            // Of what differs in them only a sum is known.
            _ => return f.write_str("its model's files, as the chat template, are others"),
        };
        write!(f, "its {what} is {theirs}, and {accepted} on those that the router accepted first")
    }
}

impl MachineState {
    /// Whether the machine is where its boot was to bring it.
    pub fn is_ready(&self) -> bool {
        matches!(self.status.as_str(), "ready" | "registered" | "running")
    }

    /// Whether its engines are Dynamo's and serve: commands of the user's own only run.
    pub fn is_registered(&self) -> bool {
        self.status == "registered"
    }

    /// Whether it has been let go, and says that it has seen that.
    pub fn is_draining(&self) -> bool {
        self.status == "draining" || self.is_drained()
    }

    /// Whether nothing runs any more on a machine that was let go.
    pub fn is_drained(&self) -> bool {
        self.status == "drained"
    }

    /// On a router: how many engines of each address it routes to.
    pub fn workers(&self) -> BTreeMap<IpAddr, usize> {
        self.workers.clone()
    }

    /// On a router: the addresses with engines that it has refused.
    pub fn refused(&self) -> BTreeMap<IpAddr, Refusal> {
        self.refused.clone()
    }

    /// On a router: whether its own chat of one token was answered.
    pub fn has_chatted(&self) -> bool {
        self.details.split(' ').any(|word| word == "chat=ok")
    }

    /// On a worker: the port of its router, `IP:PORT`, that does not let it in.
    pub fn waiting_for(&self) -> Option<&str> {
        self.details.split(' ').find_map(|word| word.strip_prefix("waiting_for="))
    }

    /// On a router: the variable that sets a proxy between its frontend and the workers.
    pub fn proxy(&self) -> Option<&str> {
        self.details.split(' ').find_map(|word| word.strip_prefix("proxy="))
    }

    /// On a worker: how much of its model is here while it is downloaded, and how much there is.
    pub fn download(&self) -> Option<Download> {
        let words = self.details.split(' ').find_map(|word| word.strip_prefix("download="));
        let (done, total) = words?.split_once('/')?;
        Some(Download { done: done.parse().ok()?, total: total.parse().ok()? })
    }

    /// Reads what follows the marker; a line that was cut off, or that is a report's first, is none.
    fn parse(line: &str) -> Option<Self> {
        let words = words_of(line);
        let word = |key| words.get(key).map(|word: &&str| (*word).to_owned());
        let status = word("status").filter(|status| status != "failed")?;
        let details: Vec<&str> = line
            .split_ascii_whitespace()
            .filter(|word| !["boot=", "role=", "status="].iter().any(|key| word.starts_with(key)))
            .collect();
        Some(Self {
            boot: word("boot")?,
            role: word("role")?,
            status,
            details: details.join(" "),
            workers: words.get("workers").map(|list| workers(list)).unwrap_or_default(),
            refused: words.get("refused").map(|list| refused(list)).unwrap_or_default(),
        })
    }
}

impl fmt::Display for MachineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.status)?;
        if self.details.is_empty() { Ok(()) } else { write!(f, " ({})", self.details) }
    }
}

/// A download that goes on, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Download {
    /// What is here.
    pub done: u64,
    /// What there is.
    pub total: u64,
}

impl fmt::Display for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { done, total } = *self;
        let percent = u128::from(done) * 100 / u128::from(total.max(1));
        let tenths = |bytes: u64| bytes / 100_000_000;
        let [done, total] =
            [done, total].map(|bytes| format!("{}.{}", tenths(bytes) / 10, tenths(bytes) % 10));
        write!(f, "{done} of {total} GB ({percent} %)")
    }
}

/// A phase of a boot that failed again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootFailure {
    /// `runtime`, `preflight`, `model`, `etcd`, `nats`, `frontend`, `engine`, `custom` or `secrets`.
    pub phase: String,
    /// How often it had failed when it was reported.
    pub attempts: u32,
    /// Its last exit code.
    pub code: i32,
    /// The last lines it printed.
    pub lines: Vec<String>,
}

impl BootFailure {
    fn begin(words: &BTreeMap<&str, &str>) -> Option<Self> {
        Some(Self {
            phase: (*words.get("phase")?).to_owned(),
            attempts: words.get("attempts")?.parse().ok()?,
            code: words.get("code")?.parse().ok()?,
            lines: Vec::new(),
        })
    }
}

const STATE: &str = "disagg-state";
const LOG: &str = "disagg-log";
const END: &str = "disagg-end";

/// What follows the marker, when the line has it at its start or behind the journal's prefix.
fn marked<'a>(line: &'a str, marker: &str) -> Option<&'a str> {
    let line = line.trim_end_matches('\r');
    let at = line.find("disagg-").filter(|at| *at == 0 || line[..*at].ends_with(": "));
    // The journal's prefix may name our own program: the marker is then further on.
    let start = at.or_else(|| line.find(": disagg-").map(|at| at + 2))?;
    let rest = line[start..].strip_prefix(marker)?;
    match rest.strip_prefix(' ') {
        Some(rest) => Some(rest),
        None => rest.is_empty().then_some(rest),
    }
}

fn words_of(line: &str) -> BTreeMap<&str, &str> {
    line.split_ascii_whitespace().filter_map(|word| word.split_once('=')).collect()
}

/// `127.0.0.11*1,127.0.0.12*2`, or `-`.
fn workers(list: &str) -> BTreeMap<IpAddr, usize> {
    let items = list.split(',').filter_map(|item| {
        let (address, count) = item.split_once('*')?;
        Some((address.parse().ok()?, count.parse().ok()?))
    });
    items.collect()
}

/// `127.0.0.13*1:kv_block_size:32:64`, or `-`.
fn refused(list: &str) -> BTreeMap<IpAddr, Refusal> {
    let items = list.split(',').filter_map(|item| {
        let (address, rest) = item.split_once('*')?;
        let mut words = rest.split(':').skip(1).map(str::to_owned);
        let refusal =
            Refusal { what: words.next()?, theirs: words.next()?, accepted: words.next()? };
        Some((address.parse().ok()?, refusal))
    });
    items.collect()
}

#[cfg(test)]
#[path = "console_tests.rs"]
mod tests;

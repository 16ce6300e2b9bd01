//! Who a machine is, by the document that it boots from, and what its boots come to.
//!
//! What follows from that (who is registered, what stands on a console, what is answered over HTTP) is told by
//! `programs.rs`, `console.rs` and `http.rs`.

use crate::history::Moment;
use cloud::{BootDocument, LabelFilter, Tags};
use domain::environment;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A machine from the inside.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) identity: Arc<Identity>,
    /// Each time that it was started or rebooted, and what comes of it; the latest last.
    pub(crate) boots: Vec<Boot>,
    /// Since when it is to drain.
    pub(crate) draining_since: Option<Moment>,
    pub(crate) work: Option<Work>,
}

/// One boot.
#[derive(Clone, Debug)]
pub(crate) struct Boot {
    /// When the machine runs.
    pub(crate) at: Moment,
    /// When it was stopped, or booted again.
    pub(crate) ends: Option<Moment>,
    pub(crate) course: Course,
}

/// Requests that each engine of a machine has in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) requests: u32,
    pub(crate) until: Moment,
}

/// Who a machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    Router {
        port: u16,
        model: String,
    },
    Worker {
        role: String,
        router: IpAddr,
        engines: u32,
        namespace: String,
        /// Commands of the user's own, of which Dynamo knows nothing.
        is_custom: bool,
    },
    /// Nothing that this crate knows; it prints this.
    Other {
        issue: String,
    },
}

/// What a boot comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Course {
    /// A router serves and a worker registers, in the usual time.
    ComesUp,
    /// The same, after this time.
    ComesUpAfter(Duration),
    /// A worker registers in the usual time, and its registration is lost after this one.
    ComesUpFor(Duration),
    /// This phase fails for good, after this time; it prints that.
    Fails {
        /// When.
        after: Duration,
        /// `runtime`, `model`, `engine`, …
        phase: &'static str,
        /// Its exit code.
        code: i32,
        /// Its last line.
        line: &'static str,
    },
    /// A worker registers in the usual time, and its router refuses it: what differs, what it has, and what
    /// the others have.
    IsRefused(&'static str, &'static str, &'static str),
    /// A worker waits for this port of its router.
    IsBlocked(u16),
    /// It says that it starts, and nothing else.
    Hangs,
    /// It prints nothing.
    IsMute,
}

/// What the next boots come to, of machines with certain labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Courses(Vec<(LabelFilter, VecDeque<Course>)>);

impl Courses {
    pub(crate) fn add(&mut self, machines: LabelFilter, courses: VecDeque<Course>) {
        self.0.push((machines, courses));
    }

    /// What the next boot of a machine with these tags comes to.
    pub(crate) fn next(&mut self, tags: &Tags) -> Course {
        let meant = self.0.iter_mut().filter(|(machines, _)| machines.matches(tags));
        let next = meant.filter_map(|(_, courses)| courses.pop_front()).next();
        next.unwrap_or(Course::ComesUp)
    }
}

impl Guest {
    /// One that boots for the first time.
    pub(crate) fn new(identity: Arc<Identity>, at: Moment, course: Course) -> Self {
        Self {
            identity,
            boots: vec![Boot { at, ends: None, course }],
            draining_since: None,
            work: None,
        }
    }

    /// The boot that goes on at this moment, and its number.
    pub(crate) fn boot(&self, at: Moment) -> Option<(usize, &Boot)> {
        let goes_on = |boot: &Boot| boot.at <= at && boot.ends.is_none_or(|ends| at < ends);
        self.boots.iter().enumerate().rfind(|(_, boot)| goes_on(boot))
    }

    /// Whatever runs on it is at its end.
    pub(crate) fn end_boot(&mut self, now: Moment) {
        if let Some(boot) = self.boots.last_mut() {
            boot.ends.get_or_insert(now);
        }
    }

    /// How many requests each of its engines works at.
    pub(crate) fn requests(&self, at: Moment) -> u32 {
        self.work.filter(|work| at < work.until).map_or(0, |work| work.requests)
    }
}

impl Identity {
    /// As the document says.
    pub(crate) fn of(document: &BootDocument) -> Self {
        Self::of_machine(document).unwrap_or_else(|| Self::Other {
            issue: document.file("/etc/issue").unwrap_or_default().to_owned(),
        })
    }

    fn of_machine(document: &BootDocument) -> Option<Self> {
        let env = environment::decode(document.file("/etc/disagg/env")?).ok()?;
        let role = env.get("DISAGG_ROLE")?.clone();
        if role == "router" {
            let port = env.get("DISAGG_PORT")?.parse().ok()?;
            return Some(Self::Router { port, model: env.get("DISAGG_MODEL")?.clone() });
        }
        let suffix = env.get("DYN_NAMESPACE_WORKER_SUFFIX");
        Some(Self::Worker {
            role,
            router: env.get("DISAGG_ROUTER_INTERNAL_IP")?.parse().ok()?,
            engines: env.get("DISAGG_ENGINE_COUNT").map_or(Some(1), |count| count.parse().ok())?,
            namespace: suffix.map_or("dynamo".to_owned(), |suffix| format!("dynamo-{suffix}")),
            is_custom: env.get("DISAGG_ENGINE").is_some_and(|engine| engine == "custom"),
        })
    }
}

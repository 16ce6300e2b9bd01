//! What about something that was made is not as it was made. Data: who shows it has the words, and who puts it
//! back knows by it what to do.

use crate::console::Refusal;
use cloud::{InstanceId, Key};
use std::net::IpAddr;

/// One thing that is not as it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// About what.
    pub object: Subject,
    /// What.
    pub what: Deviation,
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A service's router; with its id, where there is one.
    Router(Option<InstanceId>),
    /// A router of this service (`name@uid`) that is in no record.
    RouterOf(InstanceId, String),
    /// A service's reserved address; none when it is gone.
    Address(Option<IpAddr>),
    /// The rule that lets clients in to a service.
    Rule,
    /// Where clients reach a service.
    Endpoint,
    /// A machine of a group, in this slot; none when it is on its way out.
    Machine(InstanceId, Option<u32>),
    /// A machine of this group that nobody has in a record.
    MachineOf(InstanceId, String),
    /// How many machines a group has.
    Count,
}

/// What has become of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Deviation {
    /// It is not there any more.
    Gone,
    /// The router is not there any more; another one will be at this address.
    RouterGone(IpAddr),
    /// It was launched, and not seen to the end.
    Unfinished,
    /// It hangs.
    Impaired,
    /// It is switched off, or about to be.
    Stopped,
    /// It is being terminated.
    Terminating,
    /// Its answers are given to their end, and then it goes.
    Draining,
    /// It was made of something else than is known.
    MadeFromAnother,
    /// A tag is another one, or gone.
    Tag {
        /// The tag.
        key: Key,
        /// What it is now.
        now: Option<String>,
        /// What it was made as.
        was: String,
    },
    /// Settings were changed.
    Settings {
        /// What was found, in the cloud's words.
        found: Vec<String>,
        /// Whether no repair makes it what it was.
        needs_another: bool,
    },
    /// Its router sends it no request.
    Refused(Refusal),
    /// It was launched by a creation that died or goes on elsewhere, and goes when it is so many hours old.
    Unowned(u64),
    /// What it was made from cannot be read, so what else is not as it was made is not known; why.
    Unreadable(String),
    /// The rule is for another port.
    Port {
        /// Which.
        found: u16,
        /// Which it is to be.
        wanted: u16,
    },
    /// Clients reach it elsewhere.
    Moved {
        /// Where they did.
        was: String,
        /// Where they do.
        is: String,
    },
    /// There are more or fewer than there may be.
    OutsideBounds {
        /// So many.
        count: usize,
        /// The fewest.
        min: u32,
        /// The most.
        max: u32,
    },
    /// There are not as many as before a roll that did not end.
    DuringRoll {
        /// So many.
        count: usize,
        /// So many before.
        before: u32,
    },
}

impl Finding {
    /// This about that.
    pub fn of(object: Subject, what: Deviation) -> Self {
        Self { object, what }
    }
}

/// Adds a finding, unless there is one about the same object already: the first is the most important.
pub fn add(findings: &mut Vec<Finding>, finding: Finding) {
    if findings.iter().all(|known| known.object != finding.object) {
        findings.push(finding);
    }
}

//! Fault switches: `faults.json` in the state directory, read anew at every launch. Written by
//! people and tests that want to see what happens.
//!
//! ```json
//! {
//!   "no_capacity":  { "gpu": "H200", "group": "decode", "after": 1 },
//!   "slow_boot":    "2s",
//!   "boot_failure": { "group": "decode", "first": 1, "program": "/opt/disagg/engine" },
//!   "crash":        "before-spawn",
//!   "no_processes": true
//! }
//! ```

use crate::error::StateError;
use crate::machine_record::MachineRecord;
use crate::store::Store;
use cloud::{LaunchRequest, tag};
use machine::files;
use machine::time_span;
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};

/// The faults that are switched on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Faults {
    no_capacity: Option<NoCapacity>,
    #[serde(with = "time_span::optional")]
    slow_boot: Option<Duration>,
    boot_failure: Option<BootFailure>,
    crash: Option<CrashPoint>,
    no_processes: bool,
}

/// The zone has no more than `after` such machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NoCapacity {
    gpu: Option<String>,
    group: Option<String>,
    after: usize,
}

/// A program of the machine is broken, so that its boot fails.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BootFailure {
    group: Option<String>,
    /// How many machines of each launch; all without it.
    first: Option<u32>,
    program: PathBuf,
}

impl Default for BootFailure {
    fn default() -> Self {
        Self { group: None, first: None, program: PathBuf::from("/opt/disagg/engine") }
    }
}

/// Where the launching process dies as if by `kill -9`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CrashPoint {
    /// After the first of a launch's records was written.
    AmongRecords,
    /// After all records, before the first machine was started.
    BeforeSpawn,
    /// After the machines were started, before anyone was told.
    AfterSpawn,
}

impl Faults {
    pub(crate) fn read(store: &Store) -> Result<Self, StateError> {
        Ok(files::read_json(&store.directory().join("faults.json"))?.unwrap_or_default())
    }

    /// Whether `more` machines of this kind, beside those that live, are more than there are.
    pub(crate) fn lacks_capacity(
        &self,
        request: &LaunchRequest,
        more: usize,
        living: &[MachineRecord],
    ) -> bool {
        self.no_capacity.as_ref().is_some_and(|fault| {
            let such = living
                .iter()
                .filter(|machine| fault.meets(machine.gpu.as_deref(), machine.tags.get(tag::GROUP)))
                .count();
            fault.meets(request.offer.gpu.as_deref(), request.tags.get(tag::GROUP))
                && more > 0
                && such + more > fault.after
        })
    }

    /// How long a new machine takes before it looks at its user data.
    pub(crate) fn boot_delay(&self) -> Duration {
        self.slow_boot.unwrap_or_default()
    }

    /// The program that is broken on the machine with this place in its launch.
    pub(crate) fn broken_program(&self, request: &LaunchRequest, index: u32) -> Option<PathBuf> {
        let fault = self.boot_failure.as_ref()?;
        let hit = fault.group.is_none() || fault.group.as_ref() == request.tags.get(tag::GROUP);
        let hit = hit && fault.first.is_none_or(|first| index < first);
        hit.then(|| fault.program.clone())
    }

    /// Whether new machines are records only: `running` at once, at addresses where nobody listens,
    /// with an empty console, and otherwise listed, tagged, stopped and terminated like any other.
    /// For benchmarks and tests of scale; nothing that waits for a machine to do something ends.
    pub(crate) fn no_processes(&self) -> bool {
        self.no_processes
    }

    /// Dies here if that is switched on.
    pub(crate) fn crash(&self, point: CrashPoint) {
        if self.crash == Some(point) {
            let this = rustix::process::getpid();
            if rustix::process::kill_process(this, rustix::process::Signal::KILL).is_err() {
                std::process::abort();
            }
        }
    }
}

impl NoCapacity {
    fn meets(&self, gpu: Option<&str>, group: Option<&String>) -> bool {
        self.gpu.as_deref().is_none_or(|wanted| gpu == Some(wanted))
            && self.group.as_ref().is_none_or(|wanted| group == Some(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_can_be_left_out_and_none_misspelt() {
        let parse = serde_json::from_str::<Faults>;
        assert_eq!(parse("{}").unwrap(), Faults::default());
        let faults = parse(
            r#"{"no_capacity": {"gpu": "H200", "after": 1}, "slow_boot": "1500ms",
                "boot_failure": {"first": 2}, "crash": "before-spawn", "no_processes": true}"#,
        )
        .unwrap();
        assert_eq!(faults.boot_delay(), Duration::from_millis(1500));
        assert_eq!(faults.crash, Some(CrashPoint::BeforeSpawn));
        assert!(faults.no_processes());
        for wrong in
            [r#"{"slow_bot": "1s"}"#, r#"{"slow_boot": "soon"}"#, r#"{"no_capacity": {"n": 1}}"#]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}

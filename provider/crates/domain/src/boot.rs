//! The static files that boot a machine, as they stand in `boot/`: scripts, units, package locks.
//!
//! Nothing is rendered into them. What differs between machines is in `/etc/disagg`, which
//! [`crate::user_data`] writes.

include!(concat!(env!("OUT_DIR"), "/boot_files.rs"));

/// The version of the boot files in this release. It is raised by every change of `boot/` or of what
/// an engine is given by default, and pinned in the state of each service and group, so that a new
/// release changes nothing by itself.
pub const SCRIPT_VERSION: u32 = 1;

/// One static file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BootFile {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// Which machines a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MachineKind {
    Router,
    Worker,
}

/// Files that only one kind of machine needs: user data has little room.
const ROUTER_ONLY: &[&str] = &["etcd", "nats", "frontend", "router-ready"];
const WORKER_ONLY: &[&str] = &["engine", "model", "preflight", "worker-ready"];

/// The scripts of a kind of machine, for `/opt/disagg`.
pub(crate) fn scripts(kind: MachineKind) -> impl Iterator<Item = BootFile> {
    let foreign = match kind {
        MachineKind::Router => WORKER_ONLY,
        MachineKind::Worker => ROUTER_ONLY,
    };
    files(SCRIPTS).filter(move |file| !foreign.contains(&file.name))
}

/// The unit files that these units are made of, each once: `disagg-engine@.service` for
/// `disagg-engine@0.service` and its siblings.
pub(crate) fn units(units: &[String]) -> impl Iterator<Item = BootFile> {
    let templates: Vec<String> = units.iter().map(|unit| template(unit)).collect();
    files(UNITS).filter(move |file| templates.iter().any(|template| template == file.name))
}

fn template(unit: &str) -> String {
    match (unit.split_once('@'), unit.rsplit_once('.')) {
        (Some((name, _)), Some((_, suffix))) => format!("{name}@.{suffix}"),
        _ => unit.to_owned(),
    }
}

/// The package lock of a Dynamo version, for the virtual environment.
pub(crate) fn requirements(version: &str) -> Option<&'static str> {
    files(REQUIREMENTS)
        .find(|file| file.name.strip_suffix(".txt") == Some(version))
        .map(|file| file.text)
}

fn files(table: &'static [(&'static str, &'static str)]) -> impl Iterator<Item = BootFile> {
    table.iter().map(|(name, text)| BootFile { name, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_machine_gets_its_scripts_and_those_of_all() {
        let names = |kind| scripts(kind).map(|file| file.name).collect::<Vec<_>>();
        let (router, worker) = (names(MachineKind::Router), names(MachineKind::Worker));
        assert!(router.contains(&"etcd") && !router.contains(&"engine"), "{router:?}");
        assert!(worker.contains(&"engine") && !worker.contains(&"etcd"), "{worker:?}");
        for common in ["environment", "phase", "install-runtime"] {
            assert!(router.contains(&common) && worker.contains(&common), "{common}");
        }
    }

    #[test]
    fn scripts_are_scripts() {
        for (name, text) in SCRIPTS {
            let first = text.lines().next().unwrap_or_default();
            assert!(first.starts_with("#!/bin/bash") || first.starts_with("# shellcheck shell="), "{name}");
            assert!(text.ends_with('\n'), "{name}");
        }
    }
}

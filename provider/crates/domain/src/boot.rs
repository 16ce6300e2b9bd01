//! The static files that boot a machine, as they stand in `boot/`: scripts, units, package locks.
//!
//! Nothing is rendered into them. What differs between machines is in `/etc/disagg`, which
//! [`crate::boot_document`] writes.

use crate::secret::SecretStore;
use std::collections::BTreeSet;

include!(concat!(env!("OUT_DIR"), "/boot_files.rs"));

/// The version of the boot files in this release. It is raised by every release that changes `boot/` or
/// what an engine is given by default, and pinned in the state of each service and group, so that a new
/// release changes nothing by itself.
pub const SCRIPT_VERSION: u32 = 1;

/// One static file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StaticFile {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// What a machine is, as far as its boot files go: user data has room for no other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MachineKind {
    Router,
    CustomRouter,
    /// A worker that installs Dynamo.
    Worker,
    /// A worker whose engine is in a container.
    ContainerWorker,
    /// A worker whose engine is there already, without a container.
    FoundWorker,
    CustomWorker,
}

impl MachineKind {
    #[cfg(test)]
    const ALL: [Self; 6] = [
        Self::Router,
        Self::CustomRouter,
        Self::Worker,
        Self::ContainerWorker,
        Self::FoundWorker,
        Self::CustomWorker,
    ];

    /// Its scripts besides those of every machine.
    fn scripts(self) -> &'static [&'static str] {
        match self {
            Self::Router => &[
                "install-runtime",
                "install-venv",
                "install-packages",
                "etcd",
                "nats",
                "frontend",
                "router-ready",
            ],
            Self::CustomRouter => &["custom", "install-packages", "router-ready"],
            Self::Worker => &[
                "install-runtime",
                "install-venv",
                "install-packages",
                "preflight",
                "model",
                "engine",
                "drain",
                "worker-ready",
            ],
            Self::ContainerWorker => &[
                "install-runtime",
                "pull-image",
                "preflight",
                "containers",
                "model",
                "download-model",
                "gpus",
                "engine",
                "drain",
                "worker-ready",
            ],
            Self::FoundWorker => &[
                "install-runtime",
                "find-engine",
                "preflight",
                "containers",
                "model",
                "download-model",
                "gpus",
                "engine",
                "drain",
                "worker-ready",
            ],
            Self::CustomWorker => &["custom", "install-packages", "worker-ready"],
        }
    }
}

/// The scripts of every machine.
const EVERY_MACHINE: &[&str] = &["environment", "phase", "hosts", "resolve-secrets", "ready"];

/// The unit that listens for EC2's notices.
pub(crate) const NOTICES: &str = "disagg-notices.service";

/// The scripts of a kind of machine with these units that reads secrets from these stores, for
/// `/opt/disagg`.
pub(crate) fn scripts(
    kind: MachineKind,
    stores: &BTreeSet<SecretStore>,
    units: &[String],
) -> impl Iterator<Item = StaticFile> {
    let mut of_stores: Vec<&str> = stores.iter().filter_map(|store| reader(*store)).collect();
    of_stores.extend(units.iter().filter_map(|unit| of_unit(unit)));
    files(SCRIPTS).filter(move |file| {
        EVERY_MACHINE.contains(&file.name)
            || kind.scripts().contains(&file.name)
            || of_stores.contains(&file.name)
    })
}

/// The script that only this unit runs.
fn of_unit(unit: &str) -> Option<&'static str> {
    (unit == NOTICES).then_some("notices")
}

/// The script that `resolve-secrets` reads a store with, where it needs one.
fn reader(store: SecretStore) -> Option<&'static str> {
    match store {
        SecretStore::AwsSecretsManager | SecretStore::AwsParameterStore => Some("aws-secret"),
        SecretStore::GcpSecretManager | SecretStore::AzureKeyVault | SecretStore::Environment => {
            None
        }
    }
}

/// The unit files that these units are made of, each once: `disagg-engine@.service` for
/// `disagg-engine@0.service` and its siblings.
pub(crate) fn units(units: &[String]) -> impl Iterator<Item = StaticFile> {
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

fn files(table: &'static [(&'static str, &'static str)]) -> impl Iterator<Item = StaticFile> {
    table.iter().map(|(name, text)| StaticFile { name, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_is_on_some_machine_and_every_listed_one_exists() {
        let listed: BTreeSet<&str> = MachineKind::ALL
            .into_iter()
            .flat_map(|kind| kind.scripts().iter().chain(EVERY_MACHINE))
            .copied()
            .chain(SecretStore::ALL.into_iter().filter_map(reader))
            .chain(of_unit(NOTICES))
            .collect();
        let present: BTreeSet<&str> = SCRIPTS.iter().map(|(name, _)| *name).collect();
        assert_eq!(listed, present);
        for kind in MachineKind::ALL {
            let without_secrets = EVERY_MACHINE.len() + kind.scripts().len();
            assert_eq!(scripts(kind, &BTreeSet::new(), &[]).count(), without_secrets, "{kind:?}");
            let all = SecretStore::ALL.into_iter().collect();
            let notices = [NOTICES.to_owned()];
            assert_eq!(scripts(kind, &all, &notices).count(), without_secrets + 2, "{kind:?}");
        }
    }

    #[test]
    fn scripts_are_scripts() {
        for (name, text) in SCRIPTS {
            let first = text.lines().next().unwrap_or_default();
            let known = ["#!/bin/bash", "#!/usr/bin/env python3", "# shellcheck shell="];
            assert!(known.iter().any(|known| first.starts_with(known)), "{name}");
            assert!(text.ends_with('\n'), "{name}");
        }
    }
}

//! The arrows of docs/ARCHITECTURE.md, held against what cargo knows.

mod clouds;
mod modules;
mod source;
mod words;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Who may depend on whom inside the workspace. Dev-dependencies count too.
const ARROWS: &[(&str, &[&str])] = &[
    ("cloud", &[]),
    ("plugin", &[]),
    ("domain", &["cloud"]),
    ("machine", &["cloud"]),
    ("cloud-local", &["cloud", "machine"]),
    ("cloud-aws", &["cloud", "cloudsim"]),
    ("cloud-memory", &["cloud", "domain"]),
    ("schemas", &["domain", "plugin"]),
    (
        "terraform-provider-disagg",
        &["cloud", "cloud-aws", "cloud-local", "domain", "orchestration", "plugin", "schemas"],
    ),
    ("orchestration", &["cloud", "cloud-memory", "domain"]),
    ("acceptance", &["cloudsim"]),
    ("hosts", &["acceptance", "cloudsim", "domain"]),
    ("bench", &["domain"]),
    ("cloudsim", &[]),
];

/// Crates that only one of ours may name, by the beginning of their names.
const KEPT_TO: &[(&str, &str)] = &[
    ("tonic", "plugin"),
    ("prost", "plugin"),
    ("protox", "plugin"),
    ("rustls", "plugin"),
    ("tokio-rustls", "plugin"),
    ("rcgen", "plugin"),
    ("aws-lc-rs", "plugin"),
    ("rmpv", "plugin"),
    ("aws-", "cloud-aws"),
    ("google-cloud-", "cloud-gcp"),
    ("azure_", "cloud-azure"),
];

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().expect("packages").iter();
    packages
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
            (
                text(&package["name"]),
                dependencies.map(|dependency| text(&dependency["name"])).collect(),
            )
        })
        .collect()
}

#[test]
fn the_arrows_are_those_of_the_picture() {
    let all = dependencies();
    let members: BTreeSet<&String> = all.keys().collect();
    let drawn: BTreeSet<&str> = ARROWS.iter().map(|(from, _)| *from).collect();
    assert_eq!(members.iter().map(|name| name.as_str()).collect::<BTreeSet<_>>(), drawn);
    for (from, to) in ARROWS {
        let found: BTreeSet<&str> = all[*from]
            .iter()
            .filter(|name| members.contains(name) && name != from)
            .map(String::as_str)
            .collect();
        assert_eq!(found, to.iter().copied().collect(), "arrows of {from}");
    }
}

#[test]
fn each_kept_crate_has_one_user() {
    for (package, dependencies) in dependencies() {
        for dependency in dependencies {
            for (prefix, owner) in KEPT_TO {
                let is_kept = dependency.starts_with(prefix)
                    && !(*prefix == "aws-" && dependency == "aws-lc-rs");
                assert!(
                    !is_kept || package == *owner,
                    "{package} names {dependency}, which is {owner}'s"
                );
            }
        }
    }
}

//! The user data of every kind of machine, judged by the tools that will read them.

use domain::cloud::CloudName;
use hosts::corpus::{Specimen, specimens};
use hosts::image::Image;
use hosts::judge::{Findings, Limit, judge, shellcheck};
use hosts::wait::timed;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The scripts that machines boot with, and what users bring.
fn known_scripts() -> BTreeSet<String> {
    let boot = concat!(env!("CARGO_MANIFEST_DIR"), "/../../provider/crates/domain/boot/scripts");
    names(Path::new(boot)).into_iter().chain(["commands".to_owned()]).collect()
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).expect("the directory can be read").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn nothing_is_found(image: Image) {
    let specimens = specimens();
    let user_data =
        specimens.iter().map(|specimen| (specimen.name.as_str(), specimen.user_data.as_slice()));
    let what = format!("{} user data by cloud-init {}", specimens.len(), image.cloud_init());
    let mut judgement = timed(&what, || judge(image, user_data));
    assert_eq!(judgement.cloud_init, image.cloud_init(), "Debian has another cloud-init now");
    judgement.findings.retain(|_, findings| !findings.is_empty());
    assert_eq!(judgement.findings, Findings::new());
    assert_eq!(names(&judgement.scripts()), known_scripts(), "scripts that no machine has");
    assert_eq!(timed("shellcheck of all scripts", || shellcheck(&judgement.scripts())), "");
}

#[test]
fn cloud_init_25_finds_nothing() {
    nothing_is_found(Image::Trixie);
}

#[test]
fn cloud_init_22_finds_nothing() {
    nothing_is_found(Image::Bookworm);
}

#[test]
fn every_machine_fits_its_cloud() {
    let mut largest: BTreeMap<CloudName, BTreeMap<String, (usize, String)>> = BTreeMap::new();
    for Specimen { name, cloud, user_data } in specimens() {
        let size = Limit::of(cloud).used_by(&user_data);
        // `aws-1.6.1-sglang-prefill-secrets` is a sglang.
        let kind = name.split('-').nth(2).unwrap_or_default().to_owned();
        let row = largest.entry(cloud).or_default().entry(kind).or_default();
        *row = row.clone().max((size, name));
    }
    for (cloud, rows) in largest {
        let limit = Limit::of(cloud);
        for (size, name) in rows.into_values() {
            let percent = size * 100 / limit.bytes;
            eprintln!("{size:>7} bytes, {percent:>2} % of the limit of {cloud}: {name}");
            assert!(size <= limit.bytes, "{name} has {size} bytes, {cloud} takes {}", limit.bytes);
        }
    }
}

/// The judge is worth something: it finds what is wrong.
#[test]
fn faults_are_found() {
    const WRITE: &str =
        r##"{"path":"/opt/disagg/a","permissions":"0755","content":"#!/bin/bash\n"}"##;
    const RUN: &str = r#""runcmd":[["systemctl","enable","--now","disagg-a.service"]]"#;
    let unit = |line: &str| {
        format!(
            r##"#cloud-config
{{"write_files":[{WRITE},{{"path":"/etc/systemd/system/disagg-a.service","permissions":"0644","content":"[Service]\n{line}\n"}}],{RUN}}}"##
        )
    };
    let files = |files: &str| format!("#cloud-config\n{{\"write_files\":[{files}],{RUN}}}");
    let table: Vec<(&str, String, &str)> = vec![
        (
            "binary-missing",
            unit("ExecStart=/opt/disagg/b"),
            "Command /opt/disagg/b is not executable",
        ),
        ("unit-key", unit("ExecStart=/opt/disagg/a\\nRestrat=always"), "Restrat"),
        ("unit-missing", files(WRITE), "disagg-a.service"),
        ("bash", files(&WRITE.replace("bash\\n", "bash\\nif true\\n")), "bash -n /opt/disagg/a"),
        ("mode", files(&WRITE.replace("\"0755\"", "416")), "schema: write_files.0.permissions"),
        ("elsewhere", files(&WRITE.replace("/opt/disagg/a", "/etc/a")), "none of our places"),
        ("twice", format!("#cloud-config\n{{{RUN},{RUN}}}"), "'runcmd' is there twice"),
        ("yaml", "#cloud-config\nruncmd: [[true, yes]]\n".to_owned(), "not JSON"),
        ("octal", "#cloud-config\n{\"a\": 1_000}".to_owned(), "not JSON"),
        ("header", "#cloud-cfg\n{}".to_owned(), "not one cloud-config"),
        ("key", format!("#cloud-config\n{{\"runcmds\":[],{RUN}}}"), "'runcmds' was unexpected"),
    ];
    for image in Image::ALL {
        let user_data = table.iter().map(|(name, text, _)| (*name, text.as_bytes()));
        let findings = judge(image, user_data).findings;
        for (name, _, expected) in &table {
            let found = findings[*name].join("\n");
            // The old one takes any key.
            let lenient = image == Image::Bookworm && *name == "key";
            let is_found = found.contains(expected);
            assert_eq!(is_found, !lenient, "{name} on {}: {found:?}", image.suite());
        }
    }
}

#[test]
fn shellcheck_finds_what_is_wrong() {
    let scripts = tempfile::tempdir().expect("temp dir");
    std::fs::write(scripts.path().join("a"), "#!/bin/bash\nrm $1\n")
        .expect("the directory is ours");
    assert!(shellcheck(scripts.path()).contains("SC2086"));
}

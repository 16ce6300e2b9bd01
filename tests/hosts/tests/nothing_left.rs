//! Whatever ends a test, nothing of its hosts stays; and without root no test pretends to pass.

use hosts::datacentre::{Datacentre, address};
use hosts::image::Image;
use hosts::specs;
use hosts::wait::wait_for;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The namespaces of a process and of everything below it.
fn namespaces(pid: &str) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    for child in children.unwrap_or_default().split_whitespace() {
        found.extend(namespaces(child));
    }
    found.extend(namespaces_of(pid));
    found
}

fn namespaces_of(pid: &str) -> BTreeSet<PathBuf> {
    let links = fs::read_dir(format!("/proc/{pid}/ns")).into_iter().flatten().flatten();
    links.filter_map(|link| fs::read_link(link.path()).ok()).collect()
}

/// The processes that are in one of these namespaces.
fn inhabitants(namespaces: &BTreeSet<PathBuf>) -> Vec<String> {
    let pids = fs::read_dir("/proc").expect("/proc").flatten();
    pids.filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|pid| !namespaces_of(pid).is_disjoint(namespaces))
        .collect()
}

/// The namespaces of the datacentre whose process is `pid`, and of its running host.
fn of_the_datacentre(pid: &str) -> BTreeSet<PathBuf> {
    let mut ours = namespaces(pid);
    for namespace in namespaces_of("self") {
        ours.remove(&namespace);
    }
    // The datacentre's three and the host's six, at least.
    assert!(ours.len() >= 9, "{ours:?}");
    assert!(inhabitants(&ours).len() > 3, "the host does not run");
    ours
}

fn wait_until_nobody_is_in(namespaces: &BTreeSet<PathBuf>) {
    let explain = || format!("{:?}", inhabitants(namespaces));
    let gone = || inhabitants(namespaces).is_empty().then_some(());
    wait_for("nothing is left", 20, gone, explain);
}

/// The control groups that this machine has of datacentres.
fn control_groups() -> BTreeSet<String> {
    let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(fs::read_dir);
    let entries = roots.into_iter().flatten().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("disagg-datacentre-"))
        .collect()
}

fn with_a_host() -> Datacentre {
    let datacentre = Datacentre::new();
    let spec = specs::router(domain::cloud::CloudName::Aws);
    let user_data = specs::render_router(&spec, address(10));
    datacentre.host("router", address(10), Image::Trixie, &user_data).start();
    datacentre
}

#[test]
fn when_a_test_ends() {
    let datacentre = with_a_host();
    let group = format!("disagg-datacentre-{}", datacentre.pid());
    let ours = of_the_datacentre(datacentre.pid());
    assert!(control_groups().contains(&group), "{:?}", control_groups());
    drop(datacentre);
    assert_eq!(inhabitants(&ours), Vec::<String>::new());
    assert!(!control_groups().contains(&group), "{:?}", control_groups());
}

#[test]
fn when_the_datacentre_is_killed() {
    let mut datacentre = with_a_host();
    let group = format!("disagg-datacentre-{}", datacentre.pid());
    let ours = of_the_datacentre(datacentre.pid());
    datacentre.kill();
    wait_until_nobody_is_in(&ours);
    // A name is all that is left, until the next one comes.
    drop(Datacentre::new());
    assert!(!control_groups().contains(&group), "{:?}", control_groups());
}

#[test]
fn when_a_test_is_killed() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_hosts"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built with this test");
    let output = BufReader::new(program.stderr.take().expect("its output is a pipe"));
    // `…: /…/machine/host PID run router`
    let hint = output.lines().map_while(Result::ok).find(|line| line.ends_with(" run router"));
    let hint = hint.expect("it says how to get into its router");
    let pid = hint.rsplit(' ').nth(2).expect("it names the datacentre");
    let ours = of_the_datacentre(pid);
    program.kill().expect("it runs");
    program.wait().expect("it runs");
    wait_until_nobody_is_in(&ours);
}

#[test]
fn without_root_a_test_fails_and_says_so() {
    let output = Command::new("unshare")
        .arg("--user")
        .arg(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", "when_a_test_ends"])
        .output()
        .expect("unshare is on the PATH");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("hosts in namespaces need root: run the tests as root"), "{text}");
}

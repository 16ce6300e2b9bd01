//! Whatever ends a test, nothing of its hosts stays; and without root no test pretends to pass.

use hosts::datacentre::{Datacentre, address};
use hosts::image::Image;
use hosts::specs;
use hosts::wait::wait_for;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Namespaces by what `/proc/PID/ns/*` links to, open, so that no other gets their numbers.
type Namespaces = BTreeMap<PathBuf, File>;

fn namespaces_of(pid: &str) -> Namespaces {
    let links = fs::read_dir(format!("/proc/{pid}/ns")).into_iter().flatten().flatten();
    let open = |path: PathBuf| Some((fs::read_link(&path).ok()?, File::open(&path).ok()?));
    links.filter_map(|link| open(link.path())).collect()
}

/// Those of a process and of everything below it.
fn namespaces_below(pid: &str) -> Namespaces {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let below = children.split_whitespace().flat_map(namespaces_below);
    below.chain(namespaces_of(pid)).collect()
}

/// Those of the datacentre whose process is `pid`, and of its running host.
fn namespaces_of_datacentre(pid: &str) -> Namespaces {
    let mut ours = namespaces_below(pid);
    let outside = namespaces_of("self");
    ours.retain(|namespace, _| !outside.contains_key(namespace));
    // The datacentre's three and the host's six, at least.
    assert!(ours.len() >= 9, "{ours:?}");
    assert!(inhabitants(&ours).len() > 3, "the host does not run");
    ours
}

/// The processes that are in one of these namespaces.
fn inhabitants(namespaces: &Namespaces) -> Vec<String> {
    let is_inside = |pid: &String| {
        let links = fs::read_dir(format!("/proc/{pid}/ns")).into_iter().flatten().flatten();
        let mut links = links.filter_map(|link| fs::read_link(link.path()).ok());
        links.any(|link| namespaces.contains_key(&link))
    };
    let names = fs::read_dir("/proc").expect("/proc").flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let pids = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    pids.filter(is_inside).collect()
}

fn wait_until_nobody_is_in(namespaces: &Namespaces) {
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
fn nothing_shows_outside() {
    let _datacentre = with_a_host();
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc");
    assert!(!mounts.contains("datacentre"), "{mounts}");
    let links = fs::read_dir("/sys/class/net").expect("/sys").flatten();
    let links: Vec<_> = links.map(|link| link.file_name()).collect();
    assert!(!links.iter().any(|link| link == "bridge" || link == "to-router"), "{links:?}");
    assert!(!fs::exists("/run/datacentre").expect("/run"), "it has its own /run");
    assert!(!fs::exists("/run/netns/router").expect("/run"), "it has its own /run");
}

#[test]
fn when_a_test_ends() {
    let datacentre = with_a_host();
    let group = format!("disagg-datacentre-{}", datacentre.pid());
    let ours = namespaces_of_datacentre(datacentre.pid());
    assert!(control_groups().contains(&group), "{:?}", control_groups());
    drop(datacentre);
    assert_eq!(inhabitants(&ours), Vec::<String>::new());
    assert!(!control_groups().contains(&group), "{:?}", control_groups());
}

#[test]
fn when_the_datacentre_is_killed() {
    let mut datacentre = with_a_host();
    let group = format!("disagg-datacentre-{}", datacentre.pid());
    let ours = namespaces_of_datacentre(datacentre.pid());
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
    let ours = namespaces_of_datacentre(pid);
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

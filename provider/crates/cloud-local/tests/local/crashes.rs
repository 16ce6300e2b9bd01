//! The launching process dies at the worst moments: nothing may be lost, nothing doubled.

use crate::harness::{Computer, create_fleet, delete_all, eventually, key, launch_request, reach};
use cloud::{Cloud, InstanceState, LabelFilter};
use std::process::{Command, Stdio};

const SCRIPT: &str = "#!/bin/sh\nexec sleep 1000\n";
const DIRECTORY: &str = "DISAGG_TEST_CRASHING_LAUNCH";

/// Not a test of its own: the process that dies. Run again by the others with a directory.
#[test]
fn launching_process() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cloud = Computer::at(directory.into()).cloud();
        cloud.launch(&launch_request("f", "t", 3, SCRIPT)).await.unwrap();
    });
}

/// The same for a machine that is to be started again.
#[test]
fn starting_process() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cloud = Computer::at(directory.into()).cloud();
        let machines = cloud.list_instances(&key("f"), &LabelFilter::all()).await.unwrap();
        cloud.start_instance(&key("f"), &machines[0].id).await.unwrap();
    });
}

fn die_in(test: &str, computer: &Computer) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(DIRECTORY, computer.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
}

#[tokio::test]
async fn a_repeat_makes_exactly_what_a_dead_process_began() {
    // How many machines there are after the crash: those that were started, and no half ones that
    // nobody would ever start.
    for (crash, exist) in [("among-records", 0), ("before-spawn", 0), ("after-spawn", 3)] {
        let computer = Computer::new();
        let cloud = computer.cloud();
        create_fleet(&cloud, "f").await;
        computer.faults(&format!(r#"{{"crash": "{crash}"}}"#));
        die_in("crashes::launching_process", &computer);
        computer.faults("{}");

        let before = cloud.list_instances(&key("f"), &LabelFilter::all()).await.unwrap();
        assert_eq!(before.len(), exist, "{crash}");
        let after = cloud.launch(&launch_request("f", "t", 3, SCRIPT)).await.unwrap();
        assert_eq!(after.len(), 3, "{crash}");
        for machine in &before {
            assert!(
                after.iter().any(|other| other.id == machine.id && other.ip == machine.ip),
                "{crash}"
            );
        }
        for machine in &after {
            reach(&cloud, "f", &machine.id, Some(InstanceState::Running)).await;
        }
        supervisors_are(&computer, 3).await;
        delete_all(&cloud, "f").await;
        computer.assert_nothing_left();
    }
}

#[tokio::test]
async fn what_a_dead_process_began_can_be_terminated() {
    for crash in ["among-records", "before-spawn", "after-spawn"] {
        let computer = Computer::new();
        let cloud = computer.cloud();
        create_fleet(&cloud, "f").await;
        computer.faults(&format!(r#"{{"crash": "{crash}"}}"#));
        die_in("crashes::launching_process", &computer);
        delete_all(&cloud, "f").await;
        computer.assert_nothing_left();
    }
}

#[tokio::test]
async fn a_stopped_machine_whose_start_dies_keeps_its_disk() {
    let computer = Computer::new();
    let cloud = computer.cloud();
    create_fleet(&cloud, "f").await;
    let machine = cloud.launch(&launch_request("f", "t", 1, SCRIPT)).await.unwrap().remove(0);
    reach(&cloud, "f", &machine.id, Some(InstanceState::Running)).await;
    cloud.stop(&machine.id).await.unwrap();
    reach(&cloud, "f", &machine.id, Some(InstanceState::Stopped)).await;

    computer.faults(r#"{"crash": "before-spawn"}"#);
    die_in("crashes::starting_process", &computer);
    computer.faults("{}");

    reach(&cloud, "f", &machine.id, Some(InstanceState::Stopped)).await;
    cloud.start_instance(&key("f"), &machine.id).await.unwrap();
    reach(&cloud, "f", &machine.id, Some(InstanceState::Running)).await;
    delete_all(&cloud, "f").await;
    computer.assert_nothing_left();
}

#[tokio::test]
async fn the_same_launch_by_many_at_once_is_one() {
    let computer = Computer::new();
    create_fleet(&computer.cloud(), "f").await;
    let mut launches = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let cloud = computer.cloud();
        launches.spawn(async move {
            let launched = cloud.launch(&launch_request("f", "t", 2, SCRIPT)).await.unwrap();
            launched.into_iter().map(|machine| machine.id).collect::<Vec<_>>()
        });
    }
    let launched = launches.join_all().await;
    assert!(launched.iter().all(|ids| *ids == launched[0]), "{launched:?}");
    supervisors_are(&computer, 2).await;
    delete_all(&computer.cloud(), "f").await;
    computer.assert_nothing_left();
}

/// A supervisor that is just starting a unit looks like two for a moment.
async fn supervisors_are(computer: &Computer, count: usize) {
    let is_supervisor = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.windows(11).any(|window| window == b"--supervise")
    };
    eventually(&format!("{count} supervisors"), async || {
        let found = computer.processes().iter().filter(|pid| is_supervisor(pid)).count();
        (found == count).then_some(())
    })
    .await;
}

//! Processes of machines: kept running, stopped in order, never left behind.

use crate::harness::{
    Computer, console_with, create_fleet, delete_all, eventually, key, launch_request, reach,
};
use cloud::{Cloud, InstanceState};
use rustix::process::{Pid, Signal, kill_process};
use std::{fs, path::Path};

fn kill(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

fn supervisor(machine: &Path) -> u32 {
    let status = fs::read(machine.join("status.json")).unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status).unwrap();
    u32::try_from(status["pid"].as_u64().unwrap()).unwrap()
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().filter(|text| text.ends_with('\n'))
}

#[tokio::test]
async fn a_unit_is_started_again_however_it_ends() {
    let computer = Computer::new();
    let cloud = computer.cloud();
    create_fleet(&cloud, "f").await;
    let script = "#!/bin/sh\necho x >> \"$DISAGG_ROOT/starts\"\n\
                  case $(wc -l < \"$DISAGG_ROOT/starts\") in 1) exit 0;; 2) exit 3;; 3) kill -9 $$;; esac\n\
                  echo settled\nexec sleep 1000\n";
    let machine = cloud.launch(&launch_request("f", "t", 1, script)).await.unwrap().remove(0);
    console_with(&cloud, "f", &machine.id, "settled").await;
    let journal = fs::read_to_string(computer.machine(&machine.id).join("journal.log")).unwrap();
    let codes =
        journal.lines().filter_map(|line| line.split_once("exit code ")).map(|(_, code)| code);
    assert_eq!(codes.collect::<Vec<_>>(), ["0", "3", "137"]);
    delete_all(&cloud, "f").await;
    computer.assert_nothing_left();
}

#[tokio::test]
async fn terminating_asks_first_and_then_cuts_off() {
    let computer = Computer::new();
    let cloud = computer.cloud();
    create_fleet(&cloud, "f").await;
    let out = computer.path("out");
    fs::create_dir(&out).unwrap();
    // The first drains for a moment, the second never ends by itself.
    let script = |name: &str, on_term: &str| {
        format!(
            "#!/bin/sh\ntrap '{on_term}' TERM\necho up\n\
             while :; do sleep 0.05; done\n# {name}\n"
        )
    };
    let drained = out.join("drained");
    let polite =
        script("polite", &format!("echo draining; echo done > {}; exit 0", drained.display()));
    let stubborn = script("stubborn", "echo no");
    let mut ids = Vec::new();
    for (token, script) in [("polite", &polite), ("stubborn", &stubborn)] {
        let machine = cloud.launch(&launch_request("f", token, 1, script)).await.unwrap().remove(0);
        console_with(&cloud, "f", &machine.id, "up").await;
        ids.push(machine.id);
    }
    cloud.terminate_instances(&key("f"), &ids).await.unwrap();
    // The one that does not listen is asked, too, and not killed before its two seconds are over.
    console_with(&cloud, "f", &ids[1], "no").await;
    reach(&cloud, "f", &ids[1], Some(InstanceState::Terminating)).await;
    reach(&cloud, "f", &ids[0], None).await;
    assert_eq!(read(&drained).as_deref(), Some("done\n"));
    reach(&cloud, "f", &ids[1], None).await;
    delete_all(&cloud, "f").await;
    computer.assert_nothing_left();
}

/// Starts processes that leave their parent, their session, and some of them their environment.
const SCATTER: &str = "#!/bin/sh\n\
    (setsid sleep 1001 &)\n(setsid env -i sleep 1002 &)\nsleep 1003 &\necho scattered\nexec sleep 1004\n";

#[tokio::test]
async fn processes_that_left_their_unit_go_with_the_machine() {
    let computer = Computer::new();
    let cloud = computer.cloud();
    create_fleet(&cloud, "f").await;
    let machine = cloud.launch(&launch_request("f", "t", 1, SCATTER)).await.unwrap().remove(0);
    console_with(&cloud, "f", &machine.id, "scattered").await;
    let supervisor = supervisor(&computer.machine(&machine.id));
    let below = eventually("all four sleep", async || {
        let below = descendants(supervisor);
        (below.len() == 4).then_some(below)
    })
    .await;
    delete_all(&cloud, "f").await;
    for pid in below {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "process {pid} is left");
    }
    computer.assert_nothing_left();
}

/// Every process below one.
fn descendants(ancestor: u32) -> Vec<u32> {
    let mut found = vec![ancestor];
    for index in 0.. {
        let Some(pid) = found.get(index) else { break };
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        found.extend(
            children.unwrap_or_default().split_whitespace().map(|pid| pid.parse::<u32>().unwrap()),
        );
    }
    found.split_off(1)
}

#[tokio::test]
async fn a_killed_supervisor_takes_everything_with_it() {
    let computer = Computer::new();
    let cloud = computer.cloud();
    create_fleet(&cloud, "f").await;
    let script =
        "#!/bin/sh\n(setsid sleep 1001 &)\nsleep 1003 &\necho scattered\nexec sleep 1004\n";
    let machine = cloud.launch(&launch_request("f", "t", 1, script)).await.unwrap().remove(0);
    console_with(&cloud, "f", &machine.id, "scattered").await;
    kill(supervisor(&computer.machine(&machine.id)), Signal::KILL);
    // A machine that died is gone, and whoever looks next cleans up after it.
    reach(&cloud, "f", &machine.id, None).await;
    eventually("its processes are gone", async || computer.processes().is_empty().then_some(()))
        .await;
    cloud.delete_fleet(&key("f")).await.unwrap();
    computer.assert_nothing_left();
}

#[tokio::test]
async fn machines_end_with_their_state_directory() {
    let computer = Computer::new();
    let cloud = computer.cloud();
    create_fleet(&cloud, "f").await;
    let machine = cloud.launch(&launch_request("f", "t", 1, SCATTER)).await.unwrap().remove(0);
    console_with(&cloud, "f", &machine.id, "scattered").await;
    let below = descendants(supervisor(&computer.machine(&machine.id)));
    assert!(!below.is_empty());
    fs::remove_dir_all(computer.path("state")).unwrap();
    eventually("its processes are gone", async || {
        let gone = |pid: &u32| !Path::new(&format!("/proc/{pid}")).exists();
        (below.iter().all(gone) && computer.processes().is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_supervisor_has_nothing_of_the_process_that_launched_it() {
    let computer = Computer::new();
    let cloud = computer.cloud();
    create_fleet(&cloud, "f").await;
    let held = fs::File::create(computer.path("held")).unwrap();
    rustix::io::fcntl_setfd(&held, rustix::io::FdFlags::empty()).unwrap();
    let machine = cloud.launch(&launch_request("f", "t", 1, "#!/bin/sh\nexec sleep 1000\n")).await;
    let machine = machine.unwrap().remove(0);
    reach(&cloud, "f", &machine.id, Some(InstanceState::Running)).await;
    let pid = supervisor(&computer.machine(&machine.id));
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let open = open.filter_map(|entry| fs::read_link(entry.path()).ok()).collect::<Vec<_>>();
    assert!(!open.contains(&computer.path("held")), "{open:?}");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace().collect::<Vec<_>>();
    let (parent, session) = (fields[1], fields[3]);
    assert_ne!(parent, std::process::id().to_string());
    assert_eq!(session, pid.to_string());
    delete_all(&cloud, "f").await;
    computer.assert_nothing_left();
}

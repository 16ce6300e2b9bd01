//! Faults on demand: by `faults.json`, and by the `local` command.

use crate::harness::{
    Computer, console_with, create_fleet, delete_all, document, eventually, key, launch_request,
    offer, reach, unit,
};
use cloud::{Cloud, ErrorKind, InstanceState, LabelFilter, ObjectId, Tags, tag};
use std::{
    collections::BTreeSet,
    fs,
    net::IpAddr,
    process::{Command, Output},
};

const SCRIPT: &str = "#!/bin/sh\nwhile :; do echo tick; sleep 0.02; done\n";

fn local(computer: &Computer, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_disagg-machine"))
        .arg("local")
        .args(arguments)
        .args(["--state-directory".as_ref(), computer.path("state").as_os_str()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

#[tokio::test]
async fn a_zone_can_be_full_for_one_gpu_or_one_group() {
    let computer = Computer::new();
    let cloud = computer.cloud();
    create_fleet(&cloud, "f").await;
    computer.faults(r#"{"no_capacity": {"gpu": "H200", "group": "decode", "after": 1}}"#);
    let request = |token: &str, gpu, group: &str, count| {
        let mut request = launch_request("f", token, count, SCRIPT);
        request.offer = offer(gpu);
        request.tags.insert(tag::GROUP, group.to_owned());
        request
    };
    for (token, gpu, group, count, works) in [
        ("1", Some("H200"), "decode", 2, false),
        ("2", Some("H200"), "prefill", 2, true),
        ("3", Some("A100"), "decode", 2, true),
        ("4", Some("H200"), "decode", 1, true),
        ("5", Some("H200"), "decode", 1, false),
        ("4", Some("H200"), "decode", 1, true),
    ] {
        let launched = cloud.launch(&request(token, gpu, group, count)).await;
        let kind = launched.as_ref().err().map(|error| error.kind);
        assert_eq!(kind, (!works).then_some(ErrorKind::InsufficientCapacity), "{token}");
    }
    let all = cloud.list_instances(&key("f"), &LabelFilter::all()).await.unwrap();
    assert_eq!(all.len(), 5);
    delete_all(&cloud, "f").await;
    computer.assert_nothing_left();
}

#[tokio::test]
async fn a_slow_boot_is_pending_and_can_be_terminated() {
    let computer = Computer::new();
    let cloud = computer.cloud();
    create_fleet(&cloud, "f").await;
    computer.faults(r#"{"slow_boot": "1h"}"#);
    let machine = cloud.launch(&launch_request("f", "t", 1, SCRIPT)).await.unwrap().remove(0);
    assert_eq!(machine.state, InstanceState::Pending);
    reach(&cloud, "f", &machine.id, Some(InstanceState::Pending)).await;
    delete_all(&cloud, "f").await;

    computer.faults(r#"{"slow_boot": "100ms"}"#);
    create_fleet(&cloud, "f").await;
    let machine = cloud.launch(&launch_request("f", "t", 1, SCRIPT)).await.unwrap().remove(0);
    reach(&cloud, "f", &machine.id, Some(InstanceState::Running)).await;
    delete_all(&cloud, "f").await;
    computer.assert_nothing_left();
}

#[tokio::test]
async fn a_boot_can_fail_on_the_first_machines_of_a_launch() {
    let computer = Computer::new();
    let cloud = computer.cloud();
    create_fleet(&cloud, "f").await;
    computer.faults(r#"{"boot_failure": {"first": 1}}"#);
    let service = unit("/opt/disagg/engine");
    let files = [
        ("/opt/disagg/engine", "#!/bin/sh\necho engine works\nexec sleep 1000\n"),
        ("/etc/systemd/system/engine.service", service.as_str()),
    ];
    let mut request = launch_request("f", "t", 2, "");
    request.document = document(&files, &["engine"]);
    let launched = cloud.launch(&request).await.unwrap();
    console_with(&cloud, "f", &launched[0].id, "broken on purpose").await;
    console_with(&cloud, "f", &launched[1].id, "engine works").await;
    // What was asked for is what is shown.
    let shown = cloud.boot_document(&key("f"), &launched[0].id).await.unwrap();
    assert_eq!(shown, Some(request.document));
    let user_data = computer.machine(&launched[0].id).join("user-data");
    for (changed, why) in [(Some("#!/bin/sh\n"), "does not begin"), (None, "it is not there")] {
        match changed {
            Some(text) => fs::write(&user_data, text).unwrap(),
            None => fs::remove_file(&user_data).unwrap(),
        }
        let error = cloud.boot_document(&key("f"), &launched[0].id).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreadable);
        assert_eq!(error.object.as_ref(), Some(&launched[0].id.0));
        assert!(error.message.contains(why), "{error}");
    }
    delete_all(&cloud, "f").await;
    computer.assert_nothing_left();
}

#[tokio::test]
async fn a_cut_stops_a_machine_in_its_tracks_until_it_is_healed() {
    let computer = Computer::new();
    let cloud = computer.cloud();
    create_fleet(&cloud, "f").await;
    let machine = cloud.launch(&launch_request("f", "t", 1, SCRIPT)).await.unwrap().remove(0);
    console_with(&cloud, "f", &machine.id, "tick").await;
    let ticks = async || cloud.console(&key("f"), &machine.id).await.unwrap().text.len();

    local(&computer, &["cut", &machine.id.0]);
    reach(&cloud, "f", &machine.id, Some(InstanceState::Impaired)).await;
    // The supervisor may still be writing down what was said before.
    let mut before = ticks().await;
    eventually("the ticks end", async || {
        let again = ticks().await;
        let ended = again == std::mem::replace(&mut before, again);
        ended.then_some(())
    })
    .await;
    local(&computer, &["heal", &machine.id.0]);
    reach(&cloud, "f", &machine.id, Some(InstanceState::Running)).await;
    let silent = before;
    eventually("it ticks again", async || (ticks().await > silent).then_some(())).await;

    // Also a cut machine goes when it is told to.
    local(&computer, &["cut", &machine.id.0]);
    delete_all(&cloud, "f").await;
    computer.assert_nothing_left();
}

#[tokio::test]
async fn the_local_command_breaks_and_shows_the_journal() {
    let computer = Computer::new();
    let cloud = computer.cloud();
    create_fleet(&cloud, "f").await;
    let mut request = launch_request("f", "t", 2, "#!/bin/sh\necho hello\nexec sleep 1000\n");
    request.tags.insert(tag::GROUP, "prefill".to_owned());
    let launched = cloud.launch(&request).await.unwrap();
    let (one, two) = (&launched[0].id, &launched[1].id);
    for machine in [one, two] {
        console_with(&cloud, "f", machine, "hello").await;
        reach(&cloud, "f", machine, Some(InstanceState::Running)).await;
    }
    let list = cloud.list_instances(&key("f"), &LabelFilter::all()).await.unwrap();
    assert_eq!(list.len(), 2);
    let found = list.iter().find(|machine| machine.id == *one).unwrap();
    assert_eq!(found.state, InstanceState::Running);
    assert_eq!(found.ip, Some("127.64.0.10".parse().unwrap()));
    assert_eq!(found.tags.get(tag::GROUP).map(String::as_str), Some("prefill"));
    assert_eq!(cloud.console(&key("f"), one).await.unwrap().text, "hello\n");
    let journal = String::from_utf8(local(&computer, &["journal", &one.0]).stdout).unwrap();
    assert!(journal.lines().any(|line| line.ends_with("]: hello")), "{journal}");

    local(&computer, &["stop", &one.0]);
    reach(&cloud, "f", one, Some(InstanceState::Stopped)).await;
    local(&computer, &["lose", &two.0]);
    let left = cloud.list_instances(&key("f"), &LabelFilter::all()).await.unwrap();
    assert_eq!(left.iter().map(|machine| &machine.id).collect::<Vec<_>>(), [one]);
    delete_all(&cloud, "f").await;
    computer.assert_nothing_left();
}

#[tokio::test]
async fn machines_can_be_records_only_as_many_as_one_likes() {
    let computer = Computer::new();
    let cloud = computer.cloud();
    create_fleet(&cloud, "f").await;
    computer.faults(r#"{"no_processes": true}"#);
    let request = launch_request("f", "t", 300, SCRIPT);
    let launched = cloud.launch(&request).await.unwrap();
    assert_eq!(cloud.launch(&request).await.unwrap(), launched, "a repeat finds them");
    assert!(launched.iter().all(|machine| machine.state == InstanceState::Running));
    let addresses = launched.iter().map(|machine| machine.ip.unwrap()).collect::<BTreeSet<_>>();
    assert_eq!(addresses.len(), 300);
    let block: IpAddr = "127.128.0.0".parse().unwrap();
    assert!(addresses.iter().all(|address| *address > block), "{addresses:?}");
    assert_eq!(computer.processes(), Vec::<u32>::new());

    let (one, two) = (&launched[0].id, &launched[1].id);
    assert_eq!(cloud.console(&key("f"), one).await.unwrap().text, "");
    assert_eq!(cloud.boot_document(&key("f"), one).await.unwrap(), Some(request.document));
    let tags = Tags::from([(tag::ROLE, "prefill".to_owned())]);
    cloud.tag(&key("f"), &[ObjectId::Instance(one.clone())], &tags).await.unwrap();
    let prefill = LabelFilter::all().and(tag::ROLE, "prefill");
    assert_eq!(cloud.list_instances(&key("f"), &prefill).await.unwrap().len(), 1);

    cloud.stop(one).await.unwrap();
    reach(&cloud, "f", one, Some(InstanceState::Stopped)).await;
    cloud.start_instance(&key("f"), one).await.unwrap();
    reach(&cloud, "f", one, Some(InstanceState::Running)).await;
    cloud.cut(one).await.unwrap();
    reach(&cloud, "f", one, Some(InstanceState::Impaired)).await;
    cloud.reboot_instance(&key("f"), one).await.unwrap();
    reach(&cloud, "f", one, Some(InstanceState::Running)).await;
    cloud.lose(two).await.unwrap();
    reach(&cloud, "f", two, None).await;

    // The block's addresses are all still there for machines that are more than a record.
    computer.faults("{}");
    let real = cloud.launch(&launch_request("f", "real", 1, SCRIPT)).await.unwrap().remove(0);
    assert_eq!(real.ip, Some("127.64.0.10".parse().unwrap()));
    delete_all(&cloud, "f").await;
    computer.assert_nothing_left();
}

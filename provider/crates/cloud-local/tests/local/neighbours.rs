//! Several clouds on one computer.

use crate::harness::{Computer, create_fleet, delete_all, key, launch_request, reach};
use cloud::{AddressRequest, Cloud, InstanceState, LabelFilter, Tags};
use cloud_local::LocalCloud;
use std::{collections::BTreeSet, fs, path::PathBuf};

const SCRIPT: &str = "#!/bin/sh\nexec sleep 1000\n";

#[tokio::test]
async fn two_state_directories_share_addresses_and_nothing_else() {
    let computer = Computer::new();
    let one = computer.cloud();
    let two = computer.cloud_with(|config| config.state_directory = computer.path("other"));
    let mut addresses = BTreeSet::new();
    for cloud in [&one, &two] {
        create_fleet(cloud, "f").await;
        let request = AddressRequest {
            fleet: key("f"),
            public: None,
            token: "a".to_owned(),
            tags: Tags::new(),
        };
        addresses.insert(cloud.reserve_address(&request).await.unwrap().ip);
        let launched = cloud.launch(&launch_request("f", "t", 2, SCRIPT)).await.unwrap();
        addresses.extend(launched.into_iter().filter_map(|machine| machine.ip));
    }
    assert_eq!(addresses.len(), 6);
    for cloud in [&one, &two] {
        let reserved = cloud.list_addresses(&key("f"), &LabelFilter::all()).await.unwrap();
        let all = cloud.list_instances(&key("f"), &LabelFilter::all()).await.unwrap();
        let ids = all.into_iter().map(|machine| machine.id).collect::<Vec<_>>();
        cloud.terminate_instances(&key("f"), &ids).await.unwrap();
        for id in &ids {
            reach(cloud, "f", id, None).await;
        }
        cloud.release_address(&key("f"), &reserved[0].id).await.unwrap();
        cloud.delete_fleet(&key("f")).await.unwrap();
    }
    computer.assert_nothing_left();
}

#[tokio::test]
async fn a_rebuilt_program_does_not_disturb_machines() {
    let computer = Computer::new();
    let program = computer.path("program");
    let build = || {
        let _ = fs::remove_file(&program);
        fs::copy(PathBuf::from(env!("CARGO_BIN_EXE_disagg-machine")), &program).unwrap();
    };
    build();
    let cloud = computer.cloud_with(|config| config.machine_binary = program.clone());
    create_fleet(&cloud, "f").await;
    let first = cloud.launch(&launch_request("f", "1", 1, SCRIPT)).await.unwrap().remove(0);
    build();
    let second = cloud.launch(&launch_request("f", "2", 1, SCRIPT)).await.unwrap().remove(0);
    for machine in [&first, &second] {
        reach(&cloud, "f", &machine.id, Some(InstanceState::Running)).await;
    }
    delete_all(&cloud, "f").await;
    computer.assert_nothing_left();
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_refused_when_it_is_opened() {
    let computer = Computer::new();
    fs::write(computer.path("file"), "").unwrap();
    let mut config = computer.config();
    config.state_directory = computer.path("file/state");
    let error = LocalCloud::open(config).unwrap_err().to_string();
    assert!(error.contains("cannot make the state directory"), "{error}");
}

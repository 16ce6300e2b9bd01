//! GPUs of this computer, shared out among the machines of all its clouds.

use crate::harness::{
    Computer, console_with, create_fleet, delete_all, eventually, launch_request, offer, reach,
};
use cloud::{Cloud, ErrorKind, Instance, LaunchRequest};
use expect_test::expect;
use std::fs;

const SCRIPT: &str = "#!/bin/sh\necho \"has $DISAGG_GPUS\"\nexec sleep 1000\n";

fn request(token: &str, count: u32, gpus: u32) -> LaunchRequest {
    let mut request = launch_request("f", token, count, SCRIPT);
    request.offer = offer(Some("H200"));
    request.offer.gpu_count = gpus;
    request
}

async fn launch(cloud: &dyn Cloud, token: &str, count: u32, gpus: u32) -> Vec<Instance> {
    cloud.launch(&request(token, count, gpus)).await.unwrap()
}

async fn refused(cloud: &dyn Cloud, token: &str, count: u32, gpus: u32) -> String {
    let error = cloud.launch(&request(token, count, gpus)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InsufficientCapacity);
    error.message
}

#[tokio::test]
async fn each_has_one_machine_whatever_the_state_directory() {
    let computer = Computer::new();
    computer.gpus(&[("H200", "Disabled"); 3]);
    let (one, two) = (computer.cloud_with_gpus("state"), computer.cloud_with_gpus("other"));
    for cloud in [&one, &two] {
        create_fleet(cloud, "f").await;
    }
    let first = launch(&one, "a", 1, 2).await.remove(0);
    console_with(&one, "f", &first.id, "has GPU-0,GPU-1").await;
    assert_eq!(one.gpus(&first.id).unwrap(), ["GPU-0", "GPU-1"]);
    // The same launch again is the same machine, with the same GPUs.
    assert_eq!(launch(&one, "a", 1, 2).await.remove(0).id, first.id);

    // All or none, also of another directory; and what was tried holds nothing.
    let message = refused(&two, "a", 2, 1).await.replace(&first.id.0, "ID");
    expect!["2 H200 are needed and 1 are free on this computer: GPU 0: H200, machine ID has it; GPU 1: H200, machine ID has it; GPU 2: H200, free"]
        .assert_eq(&message);
    let second = launch(&two, "b", 1, 1).await.remove(0);
    console_with(&two, "f", &second.id, "has GPU-2").await;

    // A stopped machine keeps them, a lost one does not.
    one.stop(&first.id).await.unwrap();
    reach(&one, "f", &first.id, Some(cloud::InstanceState::Stopped)).await;
    refused(&two, "c", 1, 1).await;
    one.lose(&first.id).await.unwrap();
    let third = launch(&two, "d", 1, 1).await.remove(0);
    console_with(&two, "f", &third.id, "has GPU-0").await;

    // One that is terminated gives them back.
    two.terminate_instances(&crate::harness::key("f"), std::slice::from_ref(&second.id))
        .await
        .unwrap();
    reach(&two, "f", &second.id, None).await;
    let fourth = launch(&one, "e", 2, 1).await;
    for (machine, gpu) in fourth.iter().zip(["GPU-1", "GPU-2"]) {
        console_with(&one, "f", &machine.id, &format!("has {gpu}")).await;
    }
    delete_all(&one, "f").await;
    delete_all(&two, "f").await;
    assert_eq!(fs::read_to_string(computer.path("gpu-claims")).unwrap(), "");
    computer.assert_nothing_left();
}

#[tokio::test]
async fn what_others_compute_on_and_what_is_cut_up_is_not_given_away() {
    let computer = Computer::new();
    computer.gpus(&[
        ("H200", "Enabled"),
        ("H200", "Disabled"),
        ("Q900", "Disabled"),
        ("L4", "Disabled"),
        ("H200", "[N/A]"),
    ]);
    fs::write(computer.path("processes"), "GPU-1, 4711, /usr/bin/train, v2\n").unwrap();
    let cloud = computer.cloud_with_gpus("state");
    create_fleet(&cloud, "f").await;
    expect!["2 H200 are needed and 1 are free on this computer: GPU 0: H200 (in MIG mode, in which machines cannot have it; `nvidia-smi -i 0 -mig 0` ends that); GPU 1: H200, process 4711 (/usr/bin/train, v2) computes on it; GPU 2: NVIDIA Q900 (a model that the provider does not know); GPU 3: L4, free; GPU 4: H200, free"]
        .assert_eq(&refused(&cloud, "a", 1, 2).await);
    let machine = launch(&cloud, "b", 1, 1).await.remove(0);
    console_with(&cloud, "f", &machine.id, "has GPU-4").await;
    delete_all(&cloud, "f").await;
    computer.assert_nothing_left();
}

#[tokio::test]
async fn without_a_driver_nothing_is_launched() {
    let computer = Computer::new();
    let cloud = computer.cloud_with_gpus("state");
    create_fleet(&cloud, "f").await;
    let error = cloud.launch(&request("a", 1, 1)).await.unwrap_err();
    assert!(error.message.contains("not on the PATH"), "{error}");
    computer.gpus(&[]);
    fs::remove_file(computer.path("gpus")).unwrap();
    let error = cloud.launch(&request("a", 1, 1)).await.unwrap_err();
    expect!["`nvidia-smi` failed: NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."]
        .assert_eq(&error.message);
    // Machines without GPUs need none of it.
    cloud.launch(&launch_request("f", "b", 1, SCRIPT)).await.unwrap();
    delete_all(&cloud, "f").await;
    computer.assert_nothing_left();
}

/// An engine writes over its environment, and its processes outlive whoever started them.
#[tokio::test]
async fn a_lost_machine_leaves_no_process_without_an_environment() {
    let computer = Computer::new();
    let cloud = computer.cloud();
    create_fleet(&cloud, "f").await;
    let seconds = format!("1{}.5", std::process::id());
    let script = format!("#!/bin/sh\nenv -i sleep {seconds} &\necho started\nexec sleep 1000\n");
    let nameless = || {
        let commands = fs::read_dir("/proc").unwrap().flatten();
        let commands = commands.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        commands.filter(|command| command.ends_with(format!("{seconds}\0").as_bytes())).count()
    };
    for how in ["lose", "stop"] {
        let request = launch_request("f", how, 1, &script);
        let machine = cloud.launch(&request).await.unwrap().remove(0);
        console_with(&cloud, "f", &machine.id, "started").await;
        eventually("the process runs", async || (nameless() == 1).then_some(())).await;
        match how {
            "lose" => cloud.lose(&machine.id).await.unwrap(),
            _ => cloud.stop(&machine.id).await.unwrap(),
        }
        eventually("the process is gone", async || (nameless() == 0).then_some(())).await;
    }
    delete_all(&cloud, "f").await;
    computer.assert_nothing_left();
}

//! What a machine makes of its user data.

use crate::harness::{
    Computer, console_with, create_fleet, delete_all, document, eventually, launch_request, reach,
    unit,
};
use cloud::{BootDocument, Cloud, Instance, InstanceState};
use expect_test::expect;
use std::{fs, sync::Arc};

/// Everything a unit is told, in a file.
const TELL: &str = "#!/bin/sh\nenv | sort > \"$DISAGG_ROOT/told\"\npwd >> \"$DISAGG_ROOT/told\"\n\
                    echo told \"$@\"\nexec sleep 1000\n";

async fn launch_one(cloud: &dyn Cloud, document: BootDocument) -> Instance {
    create_fleet(cloud, "f").await;
    let mut request = launch_request("f", "t", 1, "");
    request.document = document;
    cloud.launch(&request).await.unwrap().remove(0)
}

#[tokio::test]
async fn units_are_told_what_the_contract_says_and_no_more() {
    let computer = Computer::new();
    let cloud = computer.cloud_with(|config| {
        config.secrets = Arc::new(|name| (name == "HF").then(|| "hf_123".to_owned()));
    });
    let unit = unit("/opt/tell one engine@%i").replace(
        "Type=exec",
        "Type=exec\nEnvironment=A=1 B=2\nEnvironmentFile=/etc/disagg/env\n\
         EnvironmentFile=-/etc/none\nWorkingDirectory=/root",
    );
    let document = document(
        &[
            ("/opt/tell", TELL),
            ("/etc/disagg/env", "B=\"x \\\"y\\\" $Z\"\nHOME=/elsewhere\n"),
            ("/etc/disagg/secrets", "HF_TOKEN=env://HF\n"),
            ("/etc/systemd/system/tell@.service", &unit),
        ],
        &["tell@7"],
    );
    let machine = launch_one(&cloud, document).await;
    console_with(&cloud, "f", &machine.id, "told one engine@7").await;

    let root = computer.machine(&machine.id).join("root");
    let told = eventually("the environment is told", async || {
        let text = fs::read_to_string(root.join("told")).ok()?;
        text.lines().last()?.starts_with('/').then_some(text)
    })
    .await;
    let hidden = |line: &&str| {
        [
            "PIP_",
            "PATH=",
            "LANG=",
            "INVOCATION_ID=",
            "DISAGG_BOOT_ID=",
            "SSL_",
            "REQUESTS_",
            "CURL_",
        ]
        .iter()
        .any(|prefix| line.starts_with(prefix))
            || line.to_ascii_lowercase().contains("_proxy=")
    };
    let told = told.lines().filter(|line| !hidden(line)).collect::<Vec<_>>().join("\n");
    let told = told.replace(root.to_str().unwrap(), "ROOT").replace(&machine.id.0, "ID");
    expect![[r#"
        A=1
        B=x "y" $Z
        DISAGG_IP=127.64.0.10
        DISAGG_MACHINE=ID
        DISAGG_ROOT=ROOT
        HF=hf_123
        HOME=ROOT/root
        PWD=ROOT/root
        ROOT/root"#]]
    .assert_eq(&told);

    assert_eq!(files_with(&computer.path("state"), "hf_123"), [root.join("told")]);
    delete_all(&cloud, "f").await;
    computer.assert_nothing_left();
}

/// Every file below a directory that has this text in it.
fn files_with(directory: &std::path::Path, text: &str) -> Vec<std::path::PathBuf> {
    let output = std::process::Command::new("grep")
        .args(["-rlF", "--exclude-dir=programs", text])
        .arg(directory)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(Into::into).collect()
}

#[tokio::test]
async fn a_secret_that_is_not_set_stops_the_launch() {
    let computer = Computer::new();
    let cloud = computer.cloud();
    create_fleet(&cloud, "f").await;
    let mut request = launch_request("f", "t", 2, "");
    request.document = document(&[("/etc/disagg/secrets", "HF_TOKEN=env://HF\n")], &["x"]);
    let error = cloud.launch(&request).await.unwrap_err();
    expect!["LaunchMachines failed: the environment variable `HF`, which the secret `HF_TOKEN` refers to, is not set where the provider runs (code InvalidRequest)"]
        .assert_eq(&error.to_string());
    delete_all(&cloud, "f").await;
    computer.assert_nothing_left();
}

#[tokio::test]
async fn user_data_that_is_not_understood_is_reported_on_the_console() {
    let computer = Computer::new();
    let cloud = computer.cloud();
    let bad = unit("/opt/x").replace("Restart=always", "Restart=on-failure");
    let document = document(&[("/opt/x", ""), ("/etc/systemd/system/x.service", &bad)], &["x"]);
    let machine = launch_one(&cloud, document).await;
    let console = console_with(&cloud, "f", &machine.id, "disagg-end").await;
    let boot = console.split("boot=").nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(boot.len(), 36);
    expect![[r#"
        disagg-state boot=BOOT role=unknown status=failed phase=user-data attempts=1 code=1
        disagg-log unit x.service is refused
        disagg-log line 8: the machine's supervisor does not understand `Restart=on-failure` in [Service]
        disagg-end
    "#]]
    .assert_eq(&console.replace(boot, "BOOT"));
    // Nothing runs on it, but it is up.
    reach(&cloud, "f", &machine.id, Some(InstanceState::Running)).await;
    delete_all(&cloud, "f").await;
    computer.assert_nothing_left();
}

#[tokio::test]
async fn user_data_runs_once_and_units_at_every_boot() {
    let computer = Computer::new();
    let cloud = computer.cloud();
    let script = "#!/bin/sh\n\
                  line=\"boot $(wc -l < \"$DISAGG_ROOT/var/boots\" 2>/dev/null) run $(ls \"$DISAGG_ROOT/run\" | wc -l)\"\n\
                  echo \"$DISAGG_BOOT_ID\" >> \"$DISAGG_ROOT/var/boots\"\n\
                  echo changed > \"$DISAGG_ROOT/etc/mine\"\n\
                  touch \"$DISAGG_ROOT/run/volatile\"\n\
                  echo \"$line\"\nexec sleep 1000\n";
    let service = unit("/opt/script");
    let files = [
        ("/opt/script", script),
        ("/etc/mine", "fresh"),
        ("/etc/systemd/system/s.service", service.as_str()),
    ];
    let machine = launch_one(&cloud, document(&files, &["s"])).await;
    console_with(&cloud, "f", &machine.id, "boot  run 0").await;

    cloud.reboot_instance(&crate::harness::key("f"), &machine.id).await.unwrap();
    console_with(&cloud, "f", &machine.id, "boot 1 run 0").await;

    cloud.stop(&machine.id).await.unwrap();
    let stopped = reach(&cloud, "f", &machine.id, Some(InstanceState::Stopped)).await.unwrap();
    assert_eq!(stopped.ip, machine.ip);
    assert_eq!(computer.processes(), Vec::<u32>::new());
    cloud.start_instance(&crate::harness::key("f"), &machine.id).await.unwrap();
    console_with(&cloud, "f", &machine.id, "boot 2 run 0").await;

    let root = computer.machine(&machine.id).join("root");
    assert_eq!(fs::read_to_string(root.join("etc/mine")).unwrap(), "changed\n");
    let boots = fs::read_to_string(root.join("var/boots")).unwrap();
    let boots = boots.lines().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(boots.len(), 3);
    // `/run` is in memory, not on the machine's disk.
    assert!(fs::read_link(root.join("run")).unwrap().starts_with("/dev/shm"));
    delete_all(&cloud, "f").await;
    computer.assert_nothing_left();
}

#[tokio::test]
async fn a_machine_may_have_a_hosts_file_of_its_own() {
    for namespaces in [true, false] {
        let computer = Computer::new();
        let cloud = computer.cloud_with(|config| config.namespaces = namespaces);
        create_fleet(&cloud, "f").await;
        let script = "#!/bin/sh\necho '127.64.9.9 router.test.disagg.internal' >> \"$DISAGG_ROOT/etc/hosts\"\n\
                      echo \"resolves to $(getent ahostsv4 router.test.disagg.internal | head -n 1 | cut -d ' ' -f 1).\"\nexec sleep 1000\n";
        let request = launch_request("f", "t", 1, script);
        let machine = cloud.launch(&request).await.unwrap().remove(0);
        let console = console_with(&cloud, "f", &machine.id, "resolves").await;
        let journal =
            fs::read_to_string(computer.machine(&machine.id).join("journal.log")).unwrap();
        // A kernel may refuse; then the machine says so and does without.
        let refused = journal.contains("the kernel gives no namespace");
        assert_eq!(console.contains("127.64.9.9"), namespaces && !refused, "{journal}");
        let hosts = fs::read_to_string("/etc/hosts").unwrap();
        assert!(!hosts.contains("disagg.internal"), "the computer's own file was changed");
        delete_all(&cloud, "f").await;
        computer.assert_nothing_left();
    }
}

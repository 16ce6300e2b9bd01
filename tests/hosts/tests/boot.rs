//! User data that boots: real systemd, real cloud-init, real etcd, NATS and Dynamo, on hosts with
//! addresses of their own.

use domain::cloud::CloudName;
use domain::console::{BootFailure, MachineState};
use domain::spec::{GroupSpec, RouterKind, RouterSpec, WorkerRole};
use hosts::datacentre::{Datacentre, Host, address};
use hosts::image::Image;
use hosts::service::Service;
use hosts::specs;
use hosts::wait::wait_for;
use serde_json::json;

/// From nothing to an answer.
fn answers(image: Image) {
    let datacentre = Datacentre::new();
    let service = Service::start(&datacentre, image);
    service.wait_until_it_answers();
    for host in service.hosts() {
        host.assert_cloud_init_done();
        let failed = host.read(&["systemctl", "list-units", "--failed", "--plain", "--no-legend"]);
        assert_eq!(failed, "", "failed units on {}", host.name());
    }
}

#[test]
fn three_hosts_answer_on_debian_13() {
    answers(Image::Trixie);
}

#[test]
fn three_hosts_answer_on_debian_12() {
    answers(Image::Bookworm);
}

#[test]
fn an_older_dynamo_answers_too() {
    let datacentre = Datacentre::new();
    let version = "1.4.2".parse().expect("a version that can be installed");
    Service::start_version(&datacentre, Image::Bookworm, version).wait_until_it_answers();
}

#[test]
fn after_reboots_of_router_and_worker_all_come_back() {
    let datacentre = Datacentre::new();
    let service = Service::start(&datacentre, Image::Trixie);
    service.wait_until_it_answers();
    for host in [&service.router, &service.decode] {
        let before = host.state().expect("it was ready").boot;
        host.reboot();
        host.wait_for("is ready in its second boot", 60, |host| {
            host.state().filter(|state| state.is_ready() && state.boot != before)
        });
        service.wait_until_it_answers();
    }
}

/// Whoever reboots it: systemd stops the units, and the network after them.
#[test]
fn a_worker_that_is_rebooted_ends_what_runs_on_it_before() {
    let datacentre = Datacentre::new();
    let service = Service::start_slow(&datacentre, Image::Trixie);
    service.wait_until_it_answers();
    let answer = service.long_answer(400);
    service.decode.reboot();
    answer.assert_whole();
    service.wait_until_it_answers();
}

/// EC2 tells a spot machine two minutes before its end, and a machine that is let go by its tag.
#[test]
fn a_worker_that_is_to_go_takes_no_more_and_says_when_it_is_drained() {
    let datacentre = Datacentre::new();
    let service = Service::start_slow(&datacentre, Image::Trixie);
    service.wait_until_it_answers();
    let answer = service.long_answer(400);
    let action = json!({ "action": "terminate", "time": "2026-11-30T12:02:00Z" });
    service.decode.describe(&json!({ "interruption": action }));
    service.wait_for_workers(&[service.prefill.address()]);
    let (status, body) = service.chat().expect_err("there is nobody to decode");
    assert!(matches!(status, 404 | 503), "{status} {body}");
    answer.assert_whole();

    let before = service.decode.state().expect("it was ready").boot;
    service.decode.describe(&json!({}));
    service.decode.reboot();
    service.decode.wait_for("is registered in its second boot", 60, |host| {
        host.state().filter(|state| state.is_ready() && state.boot != before)
    });
    service.wait_until_it_answers();
    let answer = service.long_answer(400);
    service.decode.describe(&json!({ "tags": { "disagg:phase": "draining" } }));
    service
        .decode
        .wait_for("says that it drains", 30, |host| host.state().filter(MachineState::is_draining));
    assert!(!service.decode.state().expect("it was ready").is_drained(), "an answer runs on it");
    answer.assert_whole();
    service.decode.wait_for("says that it is drained", 30, |host| {
        host.state().filter(MachineState::is_drained)
    });
}

#[test]
fn a_worker_whose_cable_was_cut_registers_again() {
    let datacentre = Datacentre::new();
    let service = Service::start(&datacentre, Image::Trixie);
    service.wait_until_it_answers();
    service.decode.cut();
    service.wait_for_workers(&[service.prefill.address()]);
    let (status, body) = service.chat().expect_err("there is nobody to decode");
    assert!(matches!(status, 404 | 503), "{status} {body}");
    service.decode.heal();
    service.wait_until_it_answers();
    // It had ended, with exit code 0, when its lease ran out.
    let restarts = ["systemctl", "show", "--value", "--property=NRestarts", "disagg-engine@0"];
    assert_ne!(service.decode.read(&restarts).trim(), "0", "{}", service.decode.explain());
}

/// A worker that cannot come up beside a router that can, and what its console says then.
fn failure_of(worker: &GroupSpec) -> BootFailure {
    let datacentre = Datacentre::new();
    let router = specs::router(CloudName::Aws);
    let router_ip = address(10);
    let user_data = specs::render_router(&router, router_ip);
    let router_host = datacentre.host("router", router_ip, Image::Trixie, &user_data);
    let user_data = specs::render_worker(worker, &router, router_ip);
    let worker_host = datacentre.host("failing", address(11), Image::Trixie, &user_data);
    router_host.start();
    worker_host.start();
    let failure = worker_host.wait_for("reports the failure", 90, |host| host.failure());
    // cloud-init knows nothing of it: the unit is not what it waits for.
    worker_host.assert_cloud_init_done();
    let state =
        router_host.wait_for("is ready", 60, |host| host.state().filter(|state| state.is_ready()));
    assert_eq!(state.workers().len(), 0, "a worker that failed is registered: {state}");
    failure
}

fn worker() -> GroupSpec {
    specs::group(&specs::router(CloudName::Aws), "mocker", WorkerRole::Worker)
}

#[test]
fn an_engine_that_fails_says_why_on_the_console() {
    let mut group = worker();
    group.engine.args = vec!["--no-such-argument".to_owned()];
    let failure = failure_of(&group);
    assert_eq!((failure.phase.as_str(), failure.attempts, failure.code), ("engine", 3, 2));
    let log = failure.lines.join("\n");
    assert!(log.contains("unrecognized arguments: --no-such-argument"), "{log}");
}

#[test]
fn a_secret_that_cannot_be_read_says_so_on_the_console() {
    let mut group = worker();
    let reference = "env://NOWHERE".parse().expect("it is a reference");
    group.secret_env.insert("HF_TOKEN".to_owned(), reference);
    let failure = failure_of(&group);
    assert_eq!((failure.phase.as_str(), failure.attempts, failure.code), ("secrets", 3, 1));
    let log = failure.lines.join("\n");
    assert!(log.contains("HF_TOKEN: this machine has no variable NOWHERE"), "{log}");
}

/// Commands as users bring them: nothing but bash, their own variables and Dynamo.
#[test]
fn commands_of_the_user_make_a_service() {
    const ROUTER: &str = r#"
        cd ~
        etcd --data-dir etcd --listen-client-urls "http://$DSTACK_ROUTER_INTERNAL_IP:2379" \
          --advertise-client-urls "http://$DSTACK_ROUTER_INTERNAL_IP:2379" &
        nats-server --addr "$DSTACK_ROUTER_INTERNAL_IP" &
        exec python3 -m dynamo.frontend --http-host "$DSTACK_ROUTER_INTERNAL_IP" --http-port 8000"#;
    const WORKER: &str = r#"
        export ETCD_ENDPOINTS="http://$DSTACK_ROUTER_INTERNAL_IP:2379"
        export NATS_SERVER="nats://$DSTACK_ROUTER_INTERNAL_IP:4222"
        for port in 2379 4222; do
          until (echo > "/dev/tcp/$DSTACK_ROUTER_INTERNAL_IP/$port") 2> /dev/null; do sleep 0.2; done
        done
        [[ $VIRTUAL_ENV && $(command -v python3) == "$VIRTUAL_ENV"/* && ~ == /root ]]
        exec python3 -m dynamo.mocker --model-path /opt/disagg/models/disagg/tiny --model-name tiny"#;

    let datacentre = Datacentre::new();
    let router_ip = address(10);
    let spec = RouterSpec {
        kind: RouterKind::Custom,
        commands: vec![ROUTER.to_owned()],
        model: "tiny".to_owned(),
        ..specs::router(CloudName::Aws)
    };
    let mut group = specs::group(&spec, "custom", WorkerRole::Worker);
    group.engine.commands = vec![WORKER.to_owned()];
    let user_data = specs::render_worker(&group, &spec, router_ip);
    let worker = datacentre.host("worker", address(11), Image::Bookworm, &user_data);
    let user_data = specs::render_router(&spec, router_ip);
    let router = datacentre.host("router", router_ip, Image::Bookworm, &user_data);
    worker.start();
    router.start();
    router.wait_for("is ready", 60, |host| host.state().filter(|state| state.is_ready()));
    worker
        .wait_for("is running", 60, |host| host.state().filter(|state| state.status == "running"));
    let explain = || [&router, &worker].map(Host::explain).join("\n");
    let ask =
        || Some(datacentre.chat(router_ip, 8000, "tiny")).filter(|(status, _)| *status == 200);
    wait_for("answers a chat", 60, ask, explain);
    for host in [&router, &worker] {
        host.assert_cloud_init_done();
    }
}

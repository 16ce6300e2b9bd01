//! User data that boots: real systemd, real cloud-init, real etcd, NATS and Dynamo, on hosts with
//! addresses of their own.

use domain::cloud::CloudName;
use domain::spec::WorkerRole;
use hosts::datacentre::{Datacentre, address};
use hosts::image::Image;
use hosts::service::Service;
use hosts::specs;

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
fn after_a_reboot_of_the_router_all_come_back() {
    let datacentre = Datacentre::new();
    let service = Service::start(&datacentre, Image::Trixie);
    service.wait_until_it_answers();
    let before = service.router.state().expect("it was ready").boot;
    service.router.reboot();
    service.router.wait_for("is ready in its second boot", 60, |host| {
        host.state().filter(|state| state.is_ready() && state.boot != before)
    });
    service.wait_until_it_answers();
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
}

#[test]
fn a_boot_that_fails_says_why_on_the_console() {
    let datacentre = Datacentre::new();
    let router = specs::router(CloudName::Aws);
    let router_ip = address(10);
    let mut refused = specs::group(&router, "mocker", WorkerRole::Worker);
    refused.engine.args = vec!["--no-such-argument".to_owned()];
    let router_host =
        datacentre.host("router", router_ip, Image::Trixie, &specs::render_router(&router, router_ip));
    let worker = datacentre.host(
        "refused",
        address(11),
        Image::Trixie,
        &specs::render_worker(&refused, &router, router_ip),
    );
    router_host.start();
    worker.start();
    let failure = worker.wait_for("reports the failure", 90, |host| host.failure());
    assert_eq!((failure.phase.as_str(), failure.attempts, failure.code), ("engine", 3, 2));
    let log = failure.lines.join("\n");
    assert!(log.contains("unrecognized arguments: --no-such-argument"), "{log}");
    // cloud-init knows nothing of it: the unit is not what it waits for.
    worker.assert_cloud_init_done();
}

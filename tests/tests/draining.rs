//! No machine goes while answers run on it: neither when there are to be fewer, nor in a roll, nor with
//! its group, and whatever stops the apply.
//!
//! The engine is the mocker, slowed down to some 17 tokens a second, and with the environment in which it
//! cuts what runs on it five seconds after SIGTERM, as real engines do by themselves. The router moves no
//! answer to another worker, so that whatever is cut shows.

use acceptance::config::{fleet, group, service};
use acceptance::{Answer, Chats, Cloud, Workspace, kill, signal, wait_until};
use rustix::process::Signal;
use serde_json::Value;
use std::process::Child;

acceptance::tests! {
    no_answer_is_lost_when_machines_go needs chats;
    without_a_drain_answers_are_cut needs chats;
    a_drain_that_is_cut_off_is_finished_by_the_next_apply needs chats;
    machines_drain_themselves_when_they_are_stopped needs chats;
}

const MODEL: &str = "disagg/tiny";
const DECODE: &str = "disagg_replica_group.decode";

/// Tokens of an answer that takes about half a minute.
const HALF_A_MINUTE: u32 = 500;

fn slow(name: &str, more: &str) -> String {
    let slow = r#""mocker", args = ["--decode-speedup-ratio", "0.1"]"#;
    let cuts = r#"{ DYN_RUNTIME_GRACEFUL_SHUTDOWN_TIMEOUT_SECS = "5", DYN_WORKER_GRACEFUL_SHUTDOWN_TIMEOUT = "5" }"#;
    let env = if more.contains("env =") { String::new() } else { format!("env = {cuts}\n") };
    let more = more.replace("CUTS", cuts);
    let group = group("decode", &format!("{env}{more}")).replace("\"mocker\"", slow);
    match name {
        "decode" => group,
        name => group
            .replace(
                "\"disagg_replica_group\" \"decode\"",
                &format!("\"disagg_replica_group\" \"{name}\""),
            )
            .replace("name       = \"decode\"", &format!("name       = \"{name}\"")),
    }
}

const TWO_GPUS: &str = "resources = { gpu = \"H200:2\" }";

/// The same group, with so many GPUs for each of its engine processes.
fn engines_of(gpus: u32, group: &str) -> String {
    group.replace("\"mocker\",", &format!("\"mocker\", tensor_parallel = {gpus},"))
}

fn stack(decode: &str) -> String {
    let service = service("router = { args = [\"--migration-limit\", \"0\"] }");
    let url = "output \"url\" {\n  value = \"${disagg_service.tiny.endpoint}/v1\"\n}\n";
    format!("{}{service}{}{decode}{url}", fleet(""), group("prefill", "replicas = 1"))
}

fn url(workspace: &Workspace) -> String {
    let url = workspace.output("url");
    url.as_str().expect("a text").to_owned()
}

/// Answers that run by the time this returns.
fn answers(workspace: &Workspace, count: usize, tokens: u32) -> Vec<Answer> {
    let url = url(workspace);
    let answers: Vec<_> = (0..count).map(|_| Answer::begin(&url, MODEL, tokens)).collect();
    wait_until("the answers run", || answers.iter().all(Answer::has_begun));
    answers
}

/// What is wrong with those that are not whole.
fn broken(answers: Vec<Answer>) -> Vec<String> {
    answers.into_iter().filter_map(|answer| answer.end().err()).collect()
}

fn assert_whole(answers: Vec<Answer>) {
    assert_eq!(broken(answers), Vec::<String>::new());
}

/// An apply of what stands there that has begun to let machines go.
fn apply_until_draining(workspace: &Workspace) -> Child {
    let mut apply = workspace.start_terraform(&["apply", "-auto-approve", "-lock=false"]);
    wait_until("machines are draining", || {
        assert_eq!(apply.try_wait().expect("wait"), None, "it has ended before");
        draining(workspace) > 0
    });
    apply
}

fn draining(workspace: &Workspace) -> usize {
    let machines = workspace.group("decode").into_iter();
    machines.filter(|machine| workspace.tag(&machine.id, "phase") == "draining").count()
}

fn no_answer_is_lost_when_machines_go(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let with_two = |decode: &str| engines_of(1, &slow("decode", &format!("{TWO_GPUS}\n{decode}")));
    workspace.apply(&stack(&with_two("replicas = 3")));
    wait_until("it serves", || acceptance::chat(&url(&workspace), MODEL, "?").0 == 200);
    let chats = Chats::begin(&url(&workspace), MODEL);

    // Fewer.
    let running = answers(&workspace, 12, HALF_A_MINUTE);
    workspace.apply(&stack(&with_two("replicas = 1")));
    assert_eq!(workspace.group("decode").len(), 1);
    // What runs on the one that stays, and for a minute, is for the next changes.
    let mut running: Vec<_> = running.into_iter().chain(answers(&workspace, 4, 1000)).collect();

    // Others, of one engine process instead of two, with a successor group beside them.
    let surge = "update_strategy = { max_unavailable = 0, max_surge = 1 }";
    let rolled = slow("decode", &format!("{TWO_GPUS}\nreplicas = 1\n{surge}"));
    let rolled = engines_of(2, &rolled);
    let successor = slow("successor", "replicas = 1");
    workspace.apply(&stack(&format!("{rolled}{successor}")));
    assert_eq!(workspace.group("decode").len(), 1);
    running.extend(answers(&workspace, 4, HALF_A_MINUTE));

    // None.
    workspace.apply(&stack(&successor));
    assert_eq!(workspace.group("decode").len(), 0);
    assert_whole(running);
    let (count, lost) = chats.end();
    assert_eq!(lost, Vec::<String>::new(), "of {count}");
    assert!(count > 50, "{count}");
    workspace.assert_no_changes();
    workspace.destroy();
}

/// What the test above would see without a drain.
fn without_a_drain_answers_are_cut(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let at_once = "drain_timeout = \"0s\"\nreplicas = ";
    workspace.apply(&stack(&slow("decode", &format!("{at_once}2"))));
    wait_until("it serves", || acceptance::chat(&url(&workspace), MODEL, "?").0 == 200);
    let running = answers(&workspace, 6, HALF_A_MINUTE);
    workspace.apply(&stack(&slow("decode", &format!("{at_once}1"))));
    assert!(!broken(running).is_empty(), "all of them are whole");
    // Behaviour of the provider's own: nothing is rolled for it.
    let plan = workspace.plan(&stack(&slow("decode", "replicas = 1")));
    assert_eq!(plan.action(DECODE), "update", "{}", plan.text);
    assert!(!plan.is_unknown(DECODE, "members"), "{}", plan.text);
    workspace.destroy();
}

fn a_drain_that_is_cut_off_is_finished_by_the_next_apply(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let decode = |more: &str| stack(&slow("decode", more));
    workspace.apply(&decode("replicas = 3"));
    wait_until("it serves", || acceptance::chat(&url(&workspace), MODEL, "?").0 == 200);

    // The provider dies.
    let running = answers(&workspace, 6, HALF_A_MINUTE);
    workspace.write(&decode("replicas = 1"));
    kill(&mut apply_until_draining(&workspace));
    assert_eq!(workspace.group("decode").len(), 3, "nobody has ended them");
    let plan = workspace.plan(&decode("replicas = 1"));
    assert!(plan.text.contains("draining; the next apply ends it"), "{}", plan.text);
    // The change is taken back: those on their way out go, and others come.
    let before = workspace.group("decode");
    workspace.apply(&decode("replicas = 3"));
    let now = workspace.group("decode");
    assert_eq!(now.len(), 3, "{now:?}");
    assert_eq!(now.iter().filter(|machine| before.contains(machine)).count(), 1);
    assert_eq!(draining(&workspace), 0);
    assert_whole(running);
    workspace.assert_no_changes();

    // The user stops it; the next apply changes nothing else.
    let running = answers(&workspace, 6, HALF_A_MINUTE / 2);
    workspace.write(&decode("replicas = 1"));
    let mut apply = apply_until_draining(&workspace);
    signal(&apply, Signal::INT);
    assert!(!apply.wait().expect("it ends by itself").success());
    let group = workspace.resource(DECODE);
    let states = group["members"].as_object().expect("members").values();
    let draining = states.filter(|member| member["state"] == "draining").count();
    assert_eq!((draining, &group["instance_count"]), (2, &Value::from(1)), "{group}");
    workspace.apply(&decode("replicas = 1"));
    assert_eq!(workspace.group("decode").len(), 1);
    assert_whole(running);
    workspace.assert_no_changes();

    // The operation's time is over; the removal of everything goes on with it.
    let running = answers(&workspace, 2, HALF_A_MINUTE / 2);
    let short = decode("replicas = 0\ntimeouts = { update = \"4s\" }");
    workspace.apply_fails(&short).says(&[
        "Drain longer than its operation",
        "Timeout while waiting for the answers that run on machines of replica group",
        "requests in flight",
    ]);
    workspace.destroy();
    assert_whole(running);
}

fn machines_drain_themselves_when_they_are_stopped(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.apply(&stack(&slow("decode", "replicas = 2")));
    wait_until("it serves", || acceptance::chat(&url(&workspace), MODEL, "?").0 == 200);
    let running = answers(&workspace, 4, HALF_A_MINUTE / 2);
    for machine in workspace.group("decode") {
        workspace.stop(&machine.id);
    }
    assert_whole(running);
    workspace.destroy();
}

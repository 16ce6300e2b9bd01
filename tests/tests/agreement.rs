//! What the workers of a service have to agree on: plans refuse groups that do not, a roll to something else
//! serves all along, and a worker that the router refuses is an error that says so.

use acceptance::config::{Stack, fleet, group, service};
use acceptance::{Answer, Cloud, Machine, Workspace, assert_chats, chat, wait_until};
use std::sync::atomic::{AtomicBool, Ordering};

acceptance::tests! {
    groups_that_do_not_agree_are_refused_by_the_plan;
    a_switch_to_another_block_size_serves_all_along needs chats;
    a_worker_that_the_router_refuses_is_an_error_and_says_what_differs needs chats;
}

const SMALL: &str = "\"mocker\", args = [\"--block-size\", \"32\"] }";

fn engine(role: &str, engine: &str) -> String {
    group(role, "replicas = 1").replace("\"mocker\" }", engine)
}

fn groups_that_do_not_agree_are_refused_by_the_plan(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let base = format!("{}{}", fleet(""), service(""));
    let differ = format!("{base}{}{}", group("prefill", "replicas = 1"), engine("decode", SMALL));
    let said = ["Groups of one service differ in their KV block size", "`32`", "in one apply"];
    workspace.plan_fails(&differ).says(&said);
    // One that goes does not count.
    let agree = format!("{base}{}{}", engine("prefill", SMALL), engine("decode", SMALL));
    workspace.apply(&agree);
    workspace.plan_fails(&differ).says(&said);
    let without_decode = format!("{base}{}", group("prefill", "replicas = 1"));
    assert_eq!(workspace.plan(&without_decode).action("disagg_replica_group.decode"), "delete");
    workspace.destroy();
}

const MODEL: &str = "disagg/tiny";

/// Some 17 tokens a second.
const SLOW: &str = "\"--decode-speedup-ratio\", \"0.1\"";

/// Tokens of an answer that goes on when the first machines of a switch are there.
const TEN_SECONDS: u32 = 170;

/// Prefill and decode change what both have to agree on: old and new ones serve side by side, requests are
/// answered all along, and what runs on the old ones comes to its end.
fn a_switch_to_another_block_size_serves_all_along(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack {
        service: "router = { args = [\"--migration-limit\", \"0\"] }".to_owned(),
        groups: "update_strategy = { max_unavailable = 0, max_surge = 1 }".to_owned(),
        ..Stack::on(cloud)
    };
    let slow = |engine: &str| stack.hcl().replace("\"mocker\" }", engine);
    workspace.apply(&slow(&format!("\"mocker\", args = [{SLOW}] }}")));
    let before = workspace.machines();
    let url = workspace.output("url");
    let url = url.as_str().expect("a text");
    let changed = slow(&format!("\"mocker\", args = [{SLOW}, \"--block-size\", \"32\"] }}"));
    let plan = workspace.plan(&changed);
    assert!(plan.text.contains("Workers change what they have to agree on"), "{}", plan.text);
    let long: Vec<_> = (0..4).map(|_| Answer::begin(url, MODEL, TEN_SECONDS)).collect();
    wait_until("the answers run", || long.iter().all(Answer::has_begun));
    let over = AtomicBool::new(false);
    let clients = std::thread::scope(|scope| {
        let asks_on = || {
            let (mut count, mut lost) = (0, Vec::new());
            while !over.load(Ordering::Relaxed) {
                let (status, answer) = chat(url, MODEL, "Still there?");
                count += 1;
                if status != 200 {
                    lost.push(format!("{status} after {count} answers: {answer}"));
                }
            }
            (count, lost)
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(asks_on)).collect();
        workspace.apply(&changed);
        over.store(true, Ordering::Relaxed);
        let ends = clients.into_iter().map(|client| client.join().expect("the clients end"));
        ends.collect::<Vec<(usize, Vec<String>)>>()
    });
    let journal = || cloud.journal(&workspace.router().id);
    let lost: Vec<&String> = clients.iter().flat_map(|(_, lost)| lost).collect();
    assert_eq!(lost, Vec::<&String>::new(), "{}", journal());
    assert!(clients.iter().map(|(count, _)| count).sum::<usize>() > 40, "{clients:?}");
    let broken: Vec<_> = long.into_iter().filter_map(|answer| answer.end().err()).collect();
    assert_eq!(broken, Vec::<String>::new());
    let is_left = |now: &Machine| before.iter().any(|old| old.id == now.id);
    let now = workspace.machines();
    assert_eq!(now.iter().filter(|machine| is_left(machine)).count(), 1, "the router");
    assert_eq!(now.len(), 3);
    let namespace = |group: &str| workspace.tag(&workspace.group(group)[0].id, "namespace");
    assert_eq!(namespace("prefill"), namespace("decode"));
    assert!(namespace("decode").starts_with("dynamo-"), "{}", namespace("decode"));
    workspace.assert_no_changes();
    workspace.destroy();
}

/// Nobody can see by a command what it starts: here a decode worker with another block size.
const UNSEEN: &str = r#"
resource "disagg_replica_group" "unseen" {
  name            = "unseen"
  service_id      = disagg_service.tiny.id
  role            = "decode"
  replicas        = 1
  depends_on      = [disagg_replica_group.decode]
  on_boot_failure = "keep"
  engine = { type = "custom", commands = [
    "export DYN_SYSTEM_PORT=9000 DYN_TCP_RPC_PORT=20000 DYN_HEALTH_CHECK_ENABLED=true",
    "exec python3 -m dynamo.mocker --model-path $DISAGG_MODEL_PATH --model-name $DISAGG_MODEL --disaggregation-mode decode --block-size 32",
  ] }
}
"#;

fn a_worker_that_the_router_refuses_is_an_error_and_says_what_differs(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack::on(cloud);
    workspace.apply(&stack.hcl());
    let run = workspace.apply_fails(&format!("{}{UNSEEN}", stack.hcl()));
    run.says(&[
        "is registered and healthy, and the router refuses it",
        "its KV block size is 32, and 64 on those that the router accepted first",
        "for inspection",
    ]);
    // It is listed and paid for, and is seen as what it is.
    let unseen = workspace.group("unseen").remove(0);
    let console = workspace.console(&workspace.router().id);
    let refused = format!("refused={}*1:kv_block_size:32:64", unseen.address);
    assert!(console.contains(&refused), "{console}");
    let shown = workspace.plan(&format!("{}{UNSEEN}", stack.hcl())).text;
    assert!(shown.contains("refused by the router"), "{shown}");
    assert_chats(&workspace);
    workspace.destroy();
}

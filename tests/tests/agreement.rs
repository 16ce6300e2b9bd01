//! What the workers of a service have to agree on: plans refuse groups that do not, a roll to something else
//! serves all along, and a worker that the router refuses is an error that says so.

use acceptance::Workspace;
use acceptance::config::{Stack, fleet, group, service};

const SMALL: &str = "\"mocker\", args = [\"--block-size\", \"32\"] }";

fn engine(role: &str, engine: &str) -> String {
    group(role, "replicas = 1").replace("\"mocker\" }", engine)
}

#[test]
fn groups_that_do_not_agree_are_refused_by_the_plan() {
    let workspace = Workspace::new();
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

mod on_the_local_cloud {
    use super::*;
    use acceptance::{Machine, assert_chats, chat};
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    /// Prefill and decode change what both have to agree on: old and new ones serve side by side, and
    /// requests are answered all along.
    #[test]
    fn a_switch_to_another_block_size_serves_all_along() {
        let workspace = Workspace::new();
        let stack = Stack {
            groups: "update_strategy = { max_unavailable = 0, max_surge = 1 }".to_owned(),
            ..Stack::default()
        };
        workspace.apply(&stack.hcl());
        let before = workspace.machines();
        let url = workspace.output("url");
        let url = url.as_str().expect("a text");
        let changed = stack.hcl().replace("\"mocker\" }", SMALL);
        let plan = workspace.plan(&changed);
        assert!(plan.text.contains("Workers change what they have to agree on"), "{}", plan.text);
        let over = AtomicBool::new(false);
        let (answers, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        while !over.load(Ordering::Relaxed) {
                            let (status, answer) = chat(url, "disagg/tiny", "Still there?");
                            let count = answers.fetch_add(1, Ordering::Relaxed);
                            if status != 200 {
                                println!("{status} after {count} answers: {answer}");
                                lost.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    })
                })
                .collect();
            workspace.apply(&changed);
            over.store(true, Ordering::Relaxed);
            for client in clients {
                client.join().expect("the clients end");
            }
        });
        // Those that come in the very moment in which a machine is taken away may be refused, one of each client.
        assert!(lost.load(Ordering::Relaxed) <= 4, "{lost:?} of {answers:?}");
        assert!(answers.load(Ordering::Relaxed) > 40, "{answers:?}");
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

    #[test]
    fn a_worker_that_the_router_refuses_is_an_error_and_says_what_differs() {
        let workspace = Workspace::new();
        let stack = Stack::default();
        workspace.apply(&stack.hcl());
        let run = workspace.apply_fails(&format!("{}{UNSEEN}", stack.hcl()));
        run.says(&[
            "is registered and healthy, and the router refuses it",
            "its KV block size is 32, and 64 on those that the router accepted first",
            "for a look",
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
}

//! Everything that can drift does so here: `terraform plan -detailed-exitcode` answers 2 and the plan
//! says what, an apply repairs it or says why not, and after that the answer is 0.

use acceptance::config::Stack;
use acceptance::{Cloud, Workspace, wait_until};
use serde_json::Value;

acceptance::tests! {
    machines;
    a_machine_that_lost_a_tag_is_still_what_it_was;
    what_cannot_be_repaired_is_an_error;
    a_count_inside_its_bounds_is_no_drift;
    a_machine_that_hangs_is_rebooted needs hangs;
    a_machine_that_was_started_with_other_user_data_is_none_of_the_group needs records;
    an_address_that_lost_a_tag_gets_it_back needs records;
    rules_tags_and_addresses needs records;
    an_address_that_is_gone_is_an_error needs records;
}

fn deployed(cloud: &Cloud) -> (Workspace, Stack) {
    let workspace = Workspace::on(cloud);
    let stack = Stack {
        service: "ingress_cidrs = [\"203.0.113.0/24\"]".to_owned(),
        endpoint: false,
        ..Stack::on(cloud)
    };
    workspace.apply(&stack.hcl());
    workspace.assert_no_changes();
    (workspace, stack)
}

fn assert_drift(workspace: &Workspace, said: &str) {
    let run = workspace.terraform(&["plan", "-detailed-exitcode"]);
    assert_eq!(run.code, Some(2), "{said}: {}", run.stdout);
    assert!(run.stdout.contains(said), "the plan does not say `{said}`:\n{}", run.stdout);
}

fn machines(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    type Break = fn(&Workspace);
    let breaks: [(Break, &str); 5] = [
        (
            |workspace| {
                let id = workspace.group("decode").remove(0).id;
                workspace.lose(&id);
            },
            "gone",
        ),
        (
            |workspace| {
                let id = workspace.group("decode").remove(0).id;
                workspace.stop(&id);
                wait_until("it is stopped", || workspace.group("decode")[0].state == "stopped");
            },
            "stopped; it will be started",
        ),
        (
            |workspace| {
                let id = workspace.group("decode").remove(0).id;
                workspace.retag(&id, "disagg:digest", "0123456789abcdef");
            },
            "made from another configuration",
        ),
        (
            |workspace| {
                let id = workspace.group("decode").remove(0).id;
                workspace.retag(&id, "disagg:service", "somebody@else");
            },
            "its tag `disagg:service` is `somebody@else`",
        ),
        (
            |workspace| workspace.retag(&workspace.router().id, "disagg:role", "bastion"),
            "its tag `disagg:role` is `bastion`; it will be `router` again",
        ),
    ];
    for (break_it, said) in breaks {
        break_it(&workspace);
        assert_drift(&workspace, said);
        workspace.apply(&stack.hcl());
        workspace.assert_no_changes();
        assert_eq!(workspace.machines().len(), 3, "{said}");
    }
    workspace.destroy();
}

fn a_machine_that_lost_a_tag_is_still_what_it_was(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    let endpoint = Stack { endpoint: cloud.serves(), ..stack };
    workspace.apply(&endpoint.hcl());
    let (router, worker) = (workspace.router(), workspace.group("decode").remove(0));
    let machines = workspace.machines();
    for id in [&worker.id, &router.id] {
        for tag in ["managed-by", "fleet", "service", "group", "role", "digest"] {
            if tag == "group" && *id == router.id {
                continue;
            }
            workspace.untag(id, &format!("disagg:{tag}"));
            assert_drift(&workspace, &format!("its tag `disagg:{tag}` is gone"));
            workspace.apply(&endpoint.hcl());
            workspace.assert_no_changes();
            assert_eq!(workspace.machines(), machines, "{tag} of {id}");
        }
    }
    workspace.destroy();
}

fn what_cannot_be_repaired_is_an_error(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    let router = workspace.router();
    workspace.retag(&router.id, "disagg:digest", "0123456789abcdef");
    assert_drift(&workspace, "made from another configuration");
    let run = workspace.apply_fails(&stack.hcl());
    run.says(&["cannot be repaired in place", "-replace=disagg_service.NAME"]);
    assert_eq!(workspace.router().id, router.id, "it is left alone");
    // The way out, literally.
    workspace.terraform(&["apply", "-auto-approve", "-replace=disagg_service.tiny"]).success();
    workspace.assert_no_changes();

    workspace.destroy();
}

fn a_count_inside_its_bounds_is_no_drift(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack {
        decode: "scaling = { min = 1, max = 3, target = 10 / 3 }".to_owned(),
        endpoint: false,
        ..Stack::on(cloud)
    };
    let grown = Stack { decode: "replicas = 3".to_owned(), ..stack.clone() };
    workspace.apply(&grown.hcl());
    workspace.apply(&stack.hcl());
    workspace.assert_no_changes();
    let lost = workspace.group("decode").remove(0);
    workspace.lose(&lost.id);
    workspace.assert_no_changes();
    for machine in workspace.group("decode") {
        workspace.lose(&machine.id);
    }
    assert_drift(&workspace, "0 machines, outside 1..3");
    workspace.apply(&stack.hcl());
    let left = workspace.group("decode");
    assert_eq!(left.len(), 1);
    workspace.assert_no_changes();
    // An autoscaler reads the bounds there.
    workspace.retag(&left[0].id, "disagg:count", "1..99 rps 1");
    assert_drift(&workspace, "its tag `disagg:count` is `1..99 rps 1`");
    workspace.apply(&stack.hcl());
    workspace.assert_no_changes();
    workspace.destroy();
}

/// Changes a record of the local cloud behind the provider's back.
fn edit(workspace: &Workspace, kind: &str, change: impl Fn(&mut Value)) {
    let directory = workspace.state_directory().join(kind);
    let entries = std::fs::read_dir(&directory).expect("the directory exists").flatten();
    for entry in entries {
        let text = std::fs::read_to_string(entry.path()).expect("a record");
        let mut record = serde_json::from_str(&text).expect("a record is JSON");
        change(&mut record);
        std::fs::write(entry.path(), record.to_string()).expect("a record can be written");
    }
}

fn a_machine_that_hangs_is_rebooted(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    let id = workspace.group("decode").remove(0).id;
    workspace.cloud().hang(&id);
    assert_drift(&workspace, "impaired; it will be rebooted");
    workspace.apply(&stack.hcl());
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_machine_that_was_started_with_other_user_data_is_none_of_the_group(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    for (machine, said) in [
        (workspace.group("decode").remove(0), "another one takes its place"),
        (workspace.router(), "only another service brings another router"),
    ] {
        workspace.stop(&machine.id);
        let is_stopped = || workspace.machines().iter().any(|found| found.state == "stopped");
        wait_until("it is stopped", is_stopped);
        let data = workspace.state_directory().join("machines").join(&machine.id).join("user-data");
        std::fs::write(&data, "#cloud-config\n{}\n").expect("user data");
        // Who starts it does not look into it; what it was started with shows.
        workspace.terraform(&["apply", "-auto-approve"]).success();
        assert_drift(&workspace, "started with other user data than it was launched with");
        assert_drift(&workspace, said);
        if machine.group.is_some() {
            workspace.apply(&stack.hcl());
            assert_ne!(workspace.group("decode")[0].id, machine.id);
            workspace.assert_no_changes();
        } else {
            workspace.apply_fails(&stack.hcl()).says(&["cannot be repaired in place", "-replace="]);
        }
    }
    workspace.destroy();
}

fn an_address_that_lost_a_tag_gets_it_back(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    let endpoint = Stack { endpoint: true, ..stack };
    workspace.apply(&endpoint.hcl());
    let machines = workspace.machines();
    // What clients and groups read from the address comes back too, with an endpoint waiting.
    edit(&workspace, "addresses", |address| {
        address["tags"].as_object_mut().expect("tags").remove("disagg:model");
    });
    assert_drift(&workspace, "its tag `disagg:model` is gone");
    workspace.apply(&endpoint.hcl());
    workspace.assert_no_changes();
    assert_eq!(workspace.machines(), machines);
    workspace.destroy();
}

fn rules_tags_and_addresses(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    edit(&workspace, "fleets", |fleet| {
        let rules = fleet["ingress"].as_object_mut().expect("rules by service");
        for rule in rules.values_mut() {
            rule["cidrs"] = serde_json::json!(["0.0.0.0/0"]);
        }
    });
    assert_drift(&workspace, "0.0.0.0/0");
    workspace.apply(&stack.hcl());
    workspace.assert_no_changes();

    edit(&workspace, "fleets", |fleet| {
        let rules = fleet["ingress"].as_object_mut().expect("rules by service");
        for rule in rules.values_mut() {
            rule["port"] = 9000.into();
        }
    });
    assert_drift(&workspace, "for port 9000; it will be for port 8000 again");
    workspace.apply(&stack.hcl());
    workspace.assert_no_changes();

    edit(&workspace, "fleets", |fleet| fleet["tags"]["disagg:managed-by"] = "me".into());
    assert_drift(&workspace, "tag disagg:managed-by");
    workspace.apply(&stack.hcl());
    workspace.assert_no_changes();

    edit(&workspace, "addresses", |address| address["tags"]["disagg:port"] = "9000".into());
    assert_drift(&workspace, "its tag `disagg:port` is `9000`; it will be `8000` again");
    workspace.apply(&stack.hcl());
    workspace.assert_no_changes();
    workspace.destroy();
}

fn an_address_that_is_gone_is_an_error(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    for entry in std::fs::read_dir(workspace.state_directory().join("addresses")).expect("a list") {
        std::fs::remove_file(entry.expect("an entry").path()).expect("the address is taken away");
    }
    assert_drift(&workspace, "the workers cannot find a router at another one");
    let run = workspace.apply_fails(&stack.hcl());
    run.says(&["its reserved address is gone", "-replace=disagg_service.NAME"]);
    workspace.terraform(&["apply", "-auto-approve", "-replace=disagg_service.tiny"]).success();
    workspace.assert_no_changes();
    workspace.destroy();
}

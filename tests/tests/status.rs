//! The commands `status` and `logs`: what there is, without Terraform.

use acceptance::config::Stack;
use acceptance::{Cloud, Workspace};
use serde_json::Value;

acceptance::tests! {
    an_engineer_on_call_sees_what_there_is;
}

fn an_engineer_on_call_sees_what_there_is(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let fleet = cloud.path("pd");
    workspace.disagg(&["status", &fleet]).failure().says(&["no fleet `pd`"]);
    let run = workspace.disagg(&["status", &cloud.region()]).success();
    assert!(run.stdout.contains("no fleet in"), "{}", run.stdout);
    workspace.apply(&Stack::on(cloud).hcl());
    let status = |path: &str| -> Value {
        let run = workspace.disagg(&["status", path, "--json"]).success();
        serde_json::from_str(&run.stdout).expect("it is JSON")
    };
    let found = status(&fleet);
    let service = &found["services"][0];
    let made = workspace.resource("disagg_service.tiny");
    assert_eq!(service["id"], made["id"]);
    assert_eq!(service["model"], made["model"]);
    assert_eq!(service["router"]["address"], made["internal_ip"]);
    assert_eq!(
        (&found["drift"], &service["drift"]),
        (&serde_json::json!({}), &serde_json::json!({}))
    );
    let none = Value::Array(Vec::new());
    assert_eq!((&service["leaving_routers"], &found["unassigned"]), (&none, &none));
    // Which fleets there are is told of a region, with all their machines.
    let listed = status(&cloud.region());
    assert_eq!(listed["fleets"][0]["id"], fleet);
    let machines = listed["fleets"][0]["machines"].as_array().expect("machines");
    assert_eq!(machines.len(), workspace.machines().len());
    let groups = service["groups"].as_array().expect("groups");
    for group in groups {
        let name = group["name"].as_str().expect("a name");
        let members = workspace.group(name);
        let machines = group["machines"].as_array().expect("machines");
        assert_eq!(machines.len(), members.len(), "{name}");
        assert_eq!(group["count"], members.len());
        assert_eq!(group["scale"], serde_json::json!({ "kind": "fixed", "count": members.len() }));
        for machine in machines {
            let id = machine["id"].as_str().expect("an id");
            assert!(members.iter().any(|member| member.id == id), "{id} of {name}");
            assert_eq!(
                (&machine["state"], &machine["phase"]),
                (&"running".into(), &"ready".into())
            );
        }
        assert_eq!(
            status(&format!("{fleet}/tiny/{name}"))["services"][0]["groups"][0]["name"],
            name
        );
    }
    assert!(!groups.is_empty());
    // One that is lost is missed, and one that hangs or is stopped is told.
    let name = groups[0]["name"].as_str().expect("a name");
    let victim = workspace.group(name)[0].id.clone();
    workspace.stop(&victim);
    let text = workspace.disagg(&["status", &format!("{fleet}/tiny")]).success().stdout;
    for part in ["drift", "stopped", victim.as_str(), "MACHINE", "REGISTERED"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let logs =
        workspace.disagg(&["logs", &format!("{fleet}/tiny"), "--lines", "3"]).success().stdout;
    assert!(logs.lines().count() > 0, "machines print what they do");
    workspace.disagg(&["logs", &fleet, "no-such-machine"]).failure().says(&["no such machine"]);
    // One that has lost its group is still paid for.
    workspace.untag(&victim, "disagg:group");
    assert_eq!(status(&fleet)["unassigned"][0]["id"], victim);
}

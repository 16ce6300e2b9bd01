//! Where the router is out of reach, machines see their tag, drain by themselves, and say so on their
//! consoles.

use super::stack;
use acceptance::{Fault, Workspace, wait_until};

#[test]
fn without_a_route_to_the_router_machines_drain_by_themselves() {
    let workspace = Workspace::on_aws();
    workspace.apply(&stack("replicas = 1", "replicas = 3"));
    workspace.faults(&[Fault::Busy]);
    // No longer than they may.
    let fewer = stack("replicas = 1", "replicas = 2\n  drain_timeout = \"4s\"");
    let plan = workspace.plan(&fewer);
    assert!(plan.text.contains("Machines drain before they go"), "{}", plan.text);
    workspace.apply(&fewer).says(&["went before all answers were given", "is draining"]);
    assert_eq!(workspace.group("decode").len(), 2);
    // And no shorter than they need.
    workspace.write(&stack("replicas = 1", "replicas = 1"));
    let mut apply = workspace.start_terraform(&["apply", "-auto-approve", "-lock=false"]);
    let draining = || {
        let machines = workspace.group("decode").into_iter();
        machines.filter(|machine| workspace.tag(&machine.id, "phase") == "draining").count()
    };
    wait_until("one is let go", || draining() == 1);
    assert_eq!(apply.try_wait().expect("wait"), None);
    assert_eq!(workspace.group("decode").len(), 2, "it is busy");
    workspace.faults(&[]);
    assert!(apply.wait().expect("it ends").success());
    assert_eq!(workspace.group("decode").len(), 1);
    workspace.assert_no_changes();
    workspace.destroy();
}

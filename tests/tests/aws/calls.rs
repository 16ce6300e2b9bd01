//! How many calls things take.

use super::{ZONED, calls_of, fleet, stack};
use acceptance::Workspace;

#[test]
fn each_group_is_one_launch_and_a_refresh_is_three_calls() {
    let workspace = Workspace::on_aws();
    workspace.apply(&fleet(ZONED));
    let config = stack("replicas = 4", "replicas = 8");
    let calls = calls_of(&workspace, || drop(workspace.apply(&config)));
    assert_eq!(calls["RunInstances"], 3, "one for the router, one for each group: {calls:?}");
    assert_eq!(calls["CreateTags"], 3, "{calls:?}");
    // A refresh is one list for all, and two more.
    let refresh = calls_of(&workspace, || workspace.assert_no_changes());
    assert_eq!(refresh.values().sum::<u64>(), 3, "{refresh:?}");
    workspace.destroy();
}

#[test]
fn two_hundred_workers_are_one_launch() {
    let workspace = Workspace::on_aws();
    workspace.apply(&stack("replicas = 1", "replicas = 0"));
    let calls =
        calls_of(&workspace, || drop(workspace.apply(&stack("replicas = 1", "replicas = 200"))));
    assert_eq!(calls["RunInstances"], 1, "{calls:?}");
    assert_eq!(workspace.group("decode").len(), 200);
    workspace.assert_no_changes();
    workspace.destroy();
}

//! The data sources, read by the real Terraform.

use acceptance::config::{Stack, fleet, service};
use acceptance::{Cloud, Workspace};

acceptance::tests! {
    offers_need_no_credentials;
    a_service_of_another_state_gets_workers_from_here;
}

fn offers_need_no_credentials(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let offers = |attributes: &str| {
        format!(
            "data \"disagg_offers\" \"found\" {{\n{attributes}\n}}\noutput \"found\" {{\n  value = \
             data.disagg_offers.found.offers\n}}\n"
        )
    };
    for cloud in ["aws", "gcp", "azure", "local"] {
        workspace.apply(&offers(&format!("cloud = \"{cloud}\"\ngpu = \"H200:8\"")));
        let found = workspace.output("found");
        let cheapest = &found[0];
        assert_eq!(cheapest["gpu"], "H200", "{cloud}: {found}");
        assert_eq!(cheapest["gpu_count"], 8, "{cloud}");
        assert!(cheapest["priced_on"].as_str().is_some_and(|day| day.starts_with("20")), "{cloud}");
        workspace.apply(&offers(&format!("cloud = \"{cloud}\"")));
        let all = workspace.output("found").as_array().map(Vec::len);
        assert!(all > found.as_array().map(Vec::len), "{cloud}: {all:?}");
    }
    workspace.write(&offers("cloud = \"aws\"\ngpu = \"H200:16\""));
    let run = workspace.terraform(&["plan"]).failure();
    run.says(&["No machine fits", "H200", "8"]);
    workspace.write(&offers("cloud = \"moon\""));
    workspace.terraform(&["plan"]).failure().says(&["Unknown cloud", "moon"]);
}

fn a_service_of_another_state_gets_workers_from_here(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.apply(&format!("{}{}", fleet(""), service("")));
    let lookup = format!(
        "data \"disagg_service\" \"tiny\" {{\n  fleet_id = \"{}\"\n  name = \"tiny\"\n}}\noutput \
         \"found\" {{\n  value = data.disagg_service.tiny\n}}\n",
        cloud.path("pd")
    );
    let group = acceptance::config::group("worker", "replicas = 1")
        .replace("disagg_service.tiny.id", "data.disagg_service.tiny.id");
    let other = workspace.neighbour();
    other.apply(&format!("{lookup}{group}"));
    let (found, made) = (other.output("found"), workspace.resource("disagg_service.tiny"));
    for attribute in ["id", "model", "version", "port", "internal_ip", "endpoint"] {
        assert_eq!(found[attribute], made[attribute], "{attribute}");
    }
    assert_eq!(workspace.group("worker").len(), 1);
    other.assert_no_changes();
    // The service is not removed under workers of another state.
    workspace
        .terraform(&["destroy", "-auto-approve"])
        .failure()
        .says(&["is still in use", "/worker"]);
    other.terraform(&["destroy", "-auto-approve"]).success();
    let absent = lookup.replace("\"tiny\"\n}", "\"nobody\"\n}");
    other.write(&absent);
    other
        .terraform(&["plan"])
        .failure()
        .says(&[&format!("Service {} not found", cloud.path("pd/nobody"))]);
    workspace.write(&Stack { endpoint: false, ..Stack::on(cloud) }.hcl());
    workspace.destroy();
}

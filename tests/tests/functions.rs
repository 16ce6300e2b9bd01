//! The provider's functions, called by the real Terraform.

use acceptance::Workspace;
use serde_json::json;

fn output(expression: &str) -> String {
    format!("output \"result\" {{\n  value = {expression}\n}}\n")
}

#[test]
fn gpu_takes_requests_apart() {
    let workspace = Workspace::local();
    workspace.apply(&output("provider::disagg::gpu(\"H200:4..8\")"));
    let expected = json!({ "model": "H200", "minimum": 4, "maximum": 8 });
    assert_eq!(workspace.output("result"), expected);
    workspace.write(&output("provider::disagg::gpu(\"H9000\")"));
    let run = workspace.terraform(&["plan"]).failure();
    run.says(&["Invalid function argument", "Invalid GPU request", "H9000"]);
}

#[test]
fn user_data_is_what_a_machine_boots_with() {
    let workspace = Workspace::local();
    let machine = |more: &str| {
        format!(
            "provider::disagg::user_data({{\n    service = {{ name = \"tiny\", fleet_id = \
             \"local/local/pd\", model = \"disagg/tiny\" }}\n    address = \"127.64.0.10\"\n    {more}\n  }})"
        )
    };
    workspace.apply(&output(&machine("")));
    let router = workspace.output("result");
    assert!(router["text"].as_str().is_some_and(|text| text.starts_with("#cloud-config\n")));
    let group = "group = { name = \"decode\", role = \"decode\", engine = { type = \"mocker\" } }";
    workspace.apply(&output(&machine(group)));
    let worker = workspace.output("result");
    assert_ne!(worker["digest"], router["digest"]);

    // The digest is that of the machine that a resource makes of the same.
    let stack = acceptance::config::Stack {
        endpoint: false,
        ..acceptance::config::Stack::on(workspace.cloud())
    };
    workspace.apply(&stack.hcl());
    let id = workspace.resource("disagg_service.tiny")["id"].clone();
    let id = id.as_str().expect("an id");
    let address = workspace.router().address;
    let uid = id.split('@').nth(1).expect("a uid");
    let same = machine(&format!("{group}\n    uid = \"{uid}\"")).replace("127.64.0.10", &address);
    workspace.apply(&format!("{}{}", stack.hcl(), output(&same)));
    let members = workspace.resource("disagg_replica_group.decode")["members"].clone();
    assert_eq!(members["0"]["digest"], workspace.output("result")["digest"]);
    // And its bytes are those.
    use std::io::Read;
    let machine = workspace.group("decode").remove(0);
    let path = workspace.state_directory().join("machines").join(machine.id).join("user-data");
    let mut sent = String::new();
    let file = std::fs::File::open(path).expect("the machine has user data");
    flate2::read::GzDecoder::new(file).read_to_string(&mut sent).expect("it is compressed");
    assert_eq!(workspace.output("result")["text"], json!(sent));
    workspace.destroy();
}

#[test]
fn what_is_wrong_with_a_machine_is_said() {
    let workspace = Workspace::local();
    workspace.write(&output("provider::disagg::user_data({ service = { name = \"Tiny\" } })"));
    let run = workspace.terraform(&["plan"]).failure();
    run.says(&["Invalid function argument", "`service.name`: Invalid name", "`service.model`"]);
}

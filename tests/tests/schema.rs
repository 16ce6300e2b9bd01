//! What Terraform itself says our schema is, against the committed `schemas/provider.json`:
//! a review shows every change of it. `UPDATE_EXPECT=1` rewrites the file.

use acceptance::Workspace;
use serde_json::Value;
use std::path::Path;

#[test]
fn the_committed_provider_schema_is_in_step() {
    let workspace = Workspace::local();
    workspace.write("");
    let run = workspace.terraform(&["providers", "schema", "-json"]).success();
    let all: Value = serde_json::from_str(&run.stdout).expect("a schema is JSON");
    let ours = &all["provider_schemas"]["registry.terraform.io/disagg/disagg"];
    let text = format!("{}\n", serde_json::to_string_pretty(ours).expect("JSON"));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/provider.json");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&file, &text).expect("write the committed schema");
    }
    let committed = std::fs::read_to_string(&file).expect("the committed schema");
    assert_eq!(
        committed, text,
        "schemas/provider.json is out of step; UPDATE_EXPECT=1 rewrites it"
    );
}

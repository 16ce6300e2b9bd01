//! What is AWS's alone, on a simulated one. What all clouds have in common is tested on it by the other
//! files.

mod calls;
mod draining;
mod errors;
mod machines;
mod network;
mod one_set;
mod silence;

use acceptance::config::{group, service};
use acceptance::{Aws, Workspace};
use std::collections::BTreeMap;

fn fleet(attributes: &str) -> String {
    format!(
        "resource \"disagg_fleet\" \"pd\" {{\n  name = \"pd\"\n  cloud = \"aws\"\n  {attributes}\n}}\n"
    )
}

const ZONED: &str = "zone = \"us-east-2a\"";

fn stack(prefill: &str, decode: &str) -> String {
    let groups = [group("prefill", prefill), group("decode", decode)].concat();
    format!("{}{}{groups}", fleet(ZONED), service(""))
}

fn aws(workspace: &Workspace) -> &Aws {
    workspace.site()
}

/// How often each operation was called by what `act` does.
fn calls_of(workspace: &Workspace, act: impl FnOnce()) -> BTreeMap<String, u64> {
    let before = aws(workspace).datacentre().calls().clone();
    act();
    let after = aws(workspace).datacentre().calls().clone();
    let new = after.into_iter().map(|(name, count)| {
        let earlier = before.get(&name).copied().unwrap_or_default();
        (name, count - earlier)
    });
    new.filter(|(_, count)| *count > 0).collect()
}

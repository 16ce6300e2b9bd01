//! A plan, as `terraform show -json` tells it.

use serde_json::Value;

/// A plan and the text that Terraform printed with it.
#[derive(Clone, Debug)]
pub struct Plan {
    json: Value,
    /// What Terraform printed.
    pub text: String,
}

impl Plan {
    pub(crate) fn parse(json: &str, text: String) -> Self {
        Self { json: serde_json::from_str(json).expect("a plan is JSON"), text }
    }

    /// The actions on a resource, as in `update` or `delete, create`; `no-op` when it is not in the
    /// plan.
    pub fn action(&self, address: &str) -> String {
        let Some(change) = self.change(address) else { return "no-op".to_owned() };
        let actions = change["actions"].as_array().expect("a change has actions");
        actions.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    }

    /// The value that an attribute will have; `null` when it is null or not known yet.
    pub fn after(&self, address: &str, attribute: &str) -> Value {
        self.change(address).map_or(Value::Null, |change| change["after"][attribute].clone())
    }

    /// Whether an attribute will be known only after the apply.
    pub fn is_unknown(&self, address: &str, attribute: &str) -> bool {
        self.change(address).is_some_and(|change| change["after_unknown"][attribute] == true)
    }

    /// The addresses of the resources that change at all.
    pub fn changed(&self) -> Vec<String> {
        let changes = self.json["resource_changes"].as_array().cloned().unwrap_or_default();
        let changing = changes.into_iter().filter(|change| {
            let actions = &change["change"]["actions"];
            *actions != serde_json::json!(["no-op"]) && *actions != serde_json::json!(["read"])
        });
        changing.filter_map(|change| change["address"].as_str().map(str::to_owned)).collect()
    }

    fn change(&self, address: &str) -> Option<&Value> {
        let changes = self.json["resource_changes"].as_array()?;
        changes.iter().find(|change| change["address"] == address).map(|change| &change["change"])
    }
}

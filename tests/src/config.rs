//! Configurations, as plain functions that return HCL.

use crate::site::Cloud;

/// Stands for the attributes that put a fleet in the cloud of the workspace that it is written in.
pub(crate) const CLOUD: &str = "# the cloud under test";

/// A whole deployment, to be changed with `..Stack::on(cloud)`.
#[derive(Clone, Debug)]
pub struct Stack {
    /// More attributes of the fleet.
    pub fleet: &'static str,
    /// More attributes of the service.
    pub service: String,
    /// `replicas = 1` or `scaling = { … }` of the prefill group.
    pub prefill: String,
    /// The same of the decode group.
    pub decode: String,
    /// More attributes of both groups.
    pub groups: String,
    /// Whether there is an endpoint; only where somebody answers at it.
    pub endpoint: bool,
}

impl Stack {
    /// One worker of each role; with an endpoint where somebody answers.
    pub fn on(cloud: &Cloud) -> Self {
        Self {
            fleet: "",
            service: String::new(),
            prefill: "replicas = 1".to_owned(),
            decode: "replicas = 1".to_owned(),
            groups: String::new(),
            endpoint: cloud.serves(),
        }
    }

    /// Its HCL.
    pub fn hcl(&self) -> String {
        let mut text = format!("{}\n{}\n", fleet(self.fleet), service(&self.service));
        text += &group("prefill", &format!("{}\n{}", self.prefill, self.groups));
        text += &group("decode", &format!("{}\n{}", self.decode, self.groups));
        if self.endpoint {
            text += ENDPOINT;
        }
        text
    }
}

/// A fleet on the cloud under test.
pub fn fleet(more: &str) -> String {
    format!(
        r#"
resource "disagg_fleet" "pd" {{
  name  = "pd"
  {CLOUD}
  {more}
}}
"#
    )
}

/// A service in that fleet.
pub fn service(more: &str) -> String {
    format!(
        r#"
resource "disagg_service" "tiny" {{
  name     = "tiny"
  fleet_id = disagg_fleet.pd.id
  model    = "disagg/tiny"
  {more}
}}
"#
    )
}

/// A replica group of that service, named as its role.
pub fn group(role: &str, more: &str) -> String {
    format!(
        r#"
resource "disagg_replica_group" "{role}" {{
  name       = "{role}"
  service_id = disagg_service.tiny.id
  role       = "{role}"
  engine     = {{ type = "mocker" }}
  {more}
}}
"#
    )
}

/// An endpoint over both groups.
pub const ENDPOINT: &str = r#"
resource "disagg_endpoint" "tiny" {
  service_id = disagg_service.tiny.id
  group_ids  = [disagg_replica_group.prefill.id, disagg_replica_group.decode.id]
}

output "url" {
  value = disagg_endpoint.tiny.url
}
"#;

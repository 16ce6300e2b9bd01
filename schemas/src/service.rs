//! `disagg_service`: the router, its address, the model and the version.

use crate::table::{ChangeClass::*, ImportSource::*, computed, optional, required};
use crate::timeouts::Timeouts;
use plugin::Attr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A service is one Dynamo router (etcd, NATS and the OpenAI-compatible frontend) at a reserved
/// internal address, with the model and the Dynamo version that all its replica groups share.
///
/// Workers hold connections to the router. While it is live, a change of anything that is baked
/// into it is refused in the plan, with the ways out; see `on_router_change`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// `<fleet id>/<name>@<uid>`. In the first plan everything up to the `@` is known.
    #[schemars(extend("x-disagg" = computed().import(Id)))]
    pub id: Attr<String>,

    /// The service's name in its fleet: lower-case letters, digits and hyphens, at most 30
    /// characters, a letter first.
    #[schemars(extend("x-disagg" = required(Refused).import(Id), "format" = "name"))]
    pub name: Attr<String>,

    /// The `id` of the fleet that it runs in.
    #[schemars(extend("x-disagg" = required(Refused).import(Id), "format" = "fleet-id"))]
    pub fleet_id: Attr<String>,

    /// The model, by its name on the hub (`zai-org/GLM-4.5-Air-FP8`). It is also the name under
    /// which clients ask for it. Another model is another service.
    #[schemars(extend("x-disagg" = required(Refused).import(UserData), "format" = "model"))]
    pub model: Attr<String>,

    /// The version of Dynamo, for the router and all workers. The provider's default is taken at
    /// creation and kept.
    #[schemars(extend("x-disagg" = optional(Refused).computed().import(UserData), "format" = "dynamo-version"))]
    pub version: Attr<String>,

    /// The port of the OpenAI-compatible endpoint.
    #[schemars(extend("x-disagg" = optional(Refused).default(8000).import(UserData), "minimum" = 1, "maximum" = 65535, "format" = "service-port"))]
    pub port: Attr<i64>,

    /// The router machine and what runs on it.
    #[schemars(extend("x-disagg" = optional(Refused).import(UserData)))]
    pub router: Attr<Router>,

    /// The address blocks from which the endpoint can be reached. Nobody by default. On the local
    /// cloud only this machine can, whatever stands here.
    #[schemars(extend("x-disagg" = optional(InPlace).import(Cloud), "uniqueItems" = true))]
    pub ingress_cidrs: Attr<Vec<Attr<Cidr>>>,

    /// Whether clients outside the network reach the router by a public address, which is kept as long as
    /// the service. By default it has one where its network leads to the internet by a gateway. A
    /// change gives another `endpoint`, and workers do not notice.
    #[schemars(extend("x-disagg" = optional(InPlace)))]
    pub public_ip: Attr<bool>,

    /// The machine image of the router, by its id in the cloud, as in `ami-0123456789abcdef0`. By
    /// default the newest Ubuntu of the cloud on the day the router is made.
    #[schemars(extend("x-disagg" = optional(Refused).import(UserData), "format" = "word"))]
    pub image: Attr<String>,

    /// `sequential` returns when the router is healthy, so that no GPU is bought for a router that
    /// failed. `overlap` returns as soon as the router is launched, and the workers boot beside it: what
    /// `wait_for` says is then for the groups and the endpoint to wait for.
    #[schemars(extend("x-disagg" = optional(ProviderOnly).default("sequential"), "enum" = ["sequential", "overlap"]))]
    pub boot: Attr<String>,

    /// `ready` waits until etcd, NATS and the frontend answer, `running` only until the cloud says
    /// that the machine runs.
    #[schemars(extend("x-disagg" = optional(ProviderOnly).default("ready"), "enum" = ["ready", "running"]))]
    pub wait_for: Attr<String>,

    /// What a plan does that would replace a live router: `refuse` it with an error, or `replace`
    /// the service and with it all its replica groups, in full view.
    #[schemars(extend("x-disagg" = optional(ProviderOnly).default("refuse"), "enum" = ["refuse", "replace"]))]
    pub on_router_change: Attr<String>,

    /// What becomes of a router whose boot failed: `remove` it, or `keep` it for inspection.
    #[schemars(extend("x-disagg" = optional(ProviderOnly).default("remove"), "enum" = ["remove", "keep"]))]
    pub on_boot_failure: Attr<String>,

    /// The router's reserved internal address. It lives as long as the service.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub internal_ip: Attr<String>,

    /// `http://address:port` for clients.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub endpoint: Attr<String>,

    /// The instance type of the router.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub instance_type: Attr<String>,

    /// The machine image that the router was made from; one that replaces it is made from it too. None
    /// on the local cloud.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub image_id: Attr<String>,

    /// The router's price in US dollars an hour: the catalogue's estimate of the day it was made.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub hourly_cost: Attr<f64>,

    /// The router's price on the cheapest machine that fits. Known in the first plan.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub minimum_hourly_cost: Attr<f64>,

    /// The router's price on the most expensive machine that fits. Known in the first plan.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub maximum_hourly_cost: Attr<f64>,

    /// The version of the boot scripts that the router was made with. A new provider never changes
    /// it.
    #[schemars(extend("x-disagg" = computed().import(UserData)))]
    pub script_version: Attr<i64>,

    /// What in the cloud is not as it was made (object → finding). Always planned empty, so that a
    /// finding is a visible change.
    #[schemars(extend("x-disagg" = computed()))]
    pub drift: Attr<BTreeMap<String, String>>,

    /// How long each operation may take. By default 20 minutes to create and to change, 5 to look, 20 to remove.
    #[schemars(extend("x-disagg" = optional(ProviderOnly)))]
    pub timeouts: Attr<Timeouts>,
}

/// The router machine and what runs on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Router {
    /// `dynamo` runs etcd, NATS and `dynamo.frontend`; `custom` runs `commands` instead.
    #[serde(rename = "type")]
    #[schemars(extend("x-disagg" = optional(Refused).default("dynamo").import(UserData), "enum" = ["dynamo", "custom"]))]
    pub kind: Attr<String>,

    /// The size of the router machine.
    #[schemars(extend("x-disagg" = optional(Refused).import(UserData)))]
    pub resources: Attr<RouterResources>,

    /// More arguments for `dynamo.frontend`, after the provider's own.
    #[schemars(extend("x-disagg" = optional(Refused).import(UserData)))]
    pub args: Attr<Vec<Attr<String>>>,

    /// Environment of the router's processes.
    #[schemars(extend("x-disagg" = optional(Refused).import(UserData), "format" = "environment"))]
    pub env: Attr<BTreeMap<String, Attr<String>>>,

    /// The commands of a `custom` router, run in order in one bash.
    #[schemars(extend("x-disagg" = optional(Refused).import(UserData)))]
    pub commands: Attr<Vec<Attr<String>>>,
}

/// The size of the router machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RouterResources {
    /// Virtual CPUs, at least.
    #[schemars(extend("x-disagg" = optional(Refused).default(4).import(UserData), "minimum" = 1, "maximum" = 1024))]
    pub cpu: Attr<i64>,

    /// Main memory in GB, at least.
    #[schemars(extend("x-disagg" = optional(Refused).default(16).import(UserData), "minimum" = 1, "maximum" = 65536))]
    pub memory_gb: Attr<i64>,

    /// Root disk in GB. Without it 50.
    #[schemars(extend("x-disagg" = optional(Refused).import(UserData), "minimum" = 10, "maximum" = 65536))]
    pub disk_gb: Attr<i64>,
}

/// An address block, as in `203.0.113.0/24`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("format" = "cidr"))]
pub struct Cidr(pub String);

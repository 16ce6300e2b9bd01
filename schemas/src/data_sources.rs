//! The data sources: what the catalogue knows, and a service that another state made.

use crate::table::{ChangeClass::*, computed, optional, required};
use plugin::Attr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The machines that the provider knows of a cloud, with their prices: what plans are made from,
/// without credentials and without a call.
///
/// Prices are on-demand list prices of the day in `priced_on`, for a whole machine in US dollars an
/// hour. What a zone really has is the cloud's to say, at apply.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Offers {
    /// The cloud: `local`, `aws`, `gcp` or `azure`.
    #[schemars(extend("x-disagg" = required(ProviderOnly), "format" = "cloud"))]
    pub cloud: Attr<String>,

    /// The GPUs that a machine must have: `H200` is exactly one, `H200:8` exactly eight, `H200:4..8` a
    /// range. All machines without it.
    #[schemars(extend("x-disagg" = optional(ProviderOnly), "format" = "gpu"))]
    pub gpu: Attr<String>,

    /// Virtual CPUs, at least.
    #[schemars(extend("x-disagg" = optional(ProviderOnly), "minimum" = 1, "maximum" = 1024))]
    pub cpu: Attr<i64>,

    /// Main memory in GB, at least.
    #[schemars(extend("x-disagg" = optional(ProviderOnly), "minimum" = 1, "maximum" = 65536))]
    pub memory_gb: Attr<i64>,

    /// The machines, cheapest first.
    #[schemars(extend("x-disagg" = computed()))]
    pub offers: Attr<Vec<OfferedMachine>>,
}

/// A machine that a cloud sells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OfferedMachine {
    /// Its type in the cloud's own words.
    #[schemars(extend("x-disagg" = computed()))]
    pub instance_type: String,

    /// The model of its GPUs; null when it has none.
    #[schemars(extend("x-disagg" = computed()))]
    pub gpu: Attr<String>,

    /// How many GPUs it has.
    #[schemars(extend("x-disagg" = computed()))]
    pub gpu_count: i64,

    /// Virtual CPUs.
    #[schemars(extend("x-disagg" = computed()))]
    pub cpu: i64,

    /// Main memory in GB.
    #[schemars(extend("x-disagg" = computed()))]
    pub memory_gb: i64,

    /// The fabric for KV transfer: `efa`, `infiniband`, …; `tcp` when there is none.
    #[schemars(extend("x-disagg" = computed()))]
    pub interconnect: String,

    /// Its price in US dollars an hour.
    #[schemars(extend("x-disagg" = computed()))]
    pub hourly_cost: f64,

    /// The day of that price, as in `2026-10-01`.
    #[schemars(extend("x-disagg" = computed()))]
    pub priced_on: String,
}

/// A service that exists already, perhaps of another state: for replica groups, endpoints and clients
/// that are managed apart from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceLookup {
    /// The `id` of its fleet.
    #[schemars(extend("x-disagg" = required(ProviderOnly), "format" = "fleet-id"))]
    pub fleet_id: Attr<String>,

    /// Its name in the fleet.
    #[schemars(extend("x-disagg" = required(ProviderOnly), "format" = "name"))]
    pub name: Attr<String>,

    /// Its id, for `service_id` of groups and endpoints.
    #[schemars(extend("x-disagg" = computed()))]
    pub id: Attr<String>,

    /// The model that it serves.
    #[schemars(extend("x-disagg" = computed()))]
    pub model: Attr<String>,

    /// The version of Dynamo.
    #[schemars(extend("x-disagg" = computed()))]
    pub version: Attr<String>,

    /// The port of the OpenAI-compatible endpoint.
    #[schemars(extend("x-disagg" = computed()))]
    pub port: Attr<i64>,

    /// The router's reserved internal address.
    #[schemars(extend("x-disagg" = computed()))]
    pub internal_ip: Attr<String>,

    /// `http://address:port` for clients.
    #[schemars(extend("x-disagg" = computed()))]
    pub endpoint: Attr<String>,
}

//! The `provider "disagg"` block.

use crate::table::{ChangeClass::ProviderOnly, optional};
use plugin::Attr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `disagg` provider deploys disaggregated LLM inference: a Dynamo router, prefill workers and
/// decode workers on cluster-placement GPU machines, or, with no account and no GPU, on the local
/// cloud. Every cloud takes its credentials from its vendor's own chain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProviderConfig {
    /// Settings of the local cloud.
    #[schemars(extend("x-disagg" = optional(ProviderOnly)))]
    pub local: Attr<Local>,
}

/// Settings of the local cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Local {
    /// Where machines, addresses and fleets are recorded; `~/.local/state/disagg` by default. The
    /// environment variable `DISAGG_STATE_DIRECTORY` sets it too.
    #[schemars(extend("x-disagg" = optional(ProviderOnly), "format" = "directory"))]
    pub state_directory: Attr<String>,

    /// Where Dynamo, etcd, NATS and models are kept for all machines; `~/.cache/disagg` by default.
    /// The environment variable `DISAGG_CACHE_DIRECTORY` sets it too.
    #[schemars(extend("x-disagg" = optional(ProviderOnly), "format" = "directory"))]
    pub cache_directory: Attr<String>,
}

//! The `provider "disagg"` block.

use crate::table::{ChangeClass::ProviderOnly, optional, required};
use plugin::Attr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The `disagg` provider deploys disaggregated LLM inference: a Dynamo router, prefill workers and
/// decode workers on cluster-placement GPU machines, or, with no account and no GPU, on the local
/// cloud. Every cloud takes its credentials from its vendor's own chain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProviderConfig {
    /// Settings of the local cloud.
    #[schemars(extend("x-disagg" = optional(ProviderOnly)))]
    pub local: Attr<Local>,

    /// Settings of AWS. Credentials come from the AWS SDK's own chain: environment, profile, single
    /// sign-on, web identity, container or instance role. They are looked for by the first call, never
    /// by `validate`, and not by a plan that asks the cloud nothing.
    #[schemars(extend("x-disagg" = optional(ProviderOnly)))]
    pub aws: Attr<Aws>,
}

/// Settings of the local cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Local {
    /// Where machines, addresses and fleets are recorded; `~/.local/state/disagg/local` by default. The
    /// environment variable `DISAGG_STATE_DIRECTORY` sets it too.
    #[schemars(extend("x-disagg" = optional(ProviderOnly), "format" = "directory"))]
    pub state_directory: Attr<String>,

    /// Where Dynamo, etcd, NATS and models are kept for all machines; `~/.cache/disagg` by default.
    /// The environment variable `DISAGG_CACHE_DIRECTORY` sets it too.
    #[schemars(extend("x-disagg" = optional(ProviderOnly), "format" = "directory"))]
    pub cache_directory: Attr<String>,

    /// Where the GPUs of machines come from. `simulated`, which is the default, pretends as many as are
    /// asked for, which is enough for the engine `mocker`. `detected` takes those of this computer, as
    /// `nvidia-smi` tells them, and gives each to one machine at a time: on them `sglang`, `vllm` and
    /// `trtllm` run. The environment variable `DISAGG_LOCAL_GPUS` sets it too.
    #[schemars(extend("x-disagg" = optional(ProviderOnly), "enum" = ["simulated", "detected"]))]
    pub gpus: Attr<String>,

    /// Virtual environments that have an engine in them, by the engine's name, as in `{ sglang =
    /// "/opt/sglang" }`: where a group with `runtime = "venv"` finds its engine. Each has Dynamo of the
    /// service's version and the engine itself. An engine without one is found in `runtime/<version>` of
    /// the cache directory.
    #[schemars(extend("x-disagg" = optional(ProviderOnly), "format" = "engine-runtimes"))]
    pub engine_runtimes: Attr<BTreeMap<String, Attr<String>>>,
}

/// Settings of AWS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Aws {
    /// The region of fleets that name none themselves. By default the environment variables `AWS_REGION`
    /// and `AWS_DEFAULT_REGION`.
    #[schemars(extend("x-disagg" = optional(ProviderOnly), "format" = "location"))]
    pub region: Attr<String>,

    /// A profile of the shared configuration and credentials files. By default the environment variable
    /// `AWS_PROFILE`.
    #[schemars(extend("x-disagg" = optional(ProviderOnly), "format" = "word"))]
    pub profile: Attr<String>,

    /// A role to take on with the credentials found.
    #[schemars(extend("x-disagg" = optional(ProviderOnly)))]
    pub assume_role: Attr<AssumeRole>,

    /// Another endpoint of EC2 than AWS's own, as a private one or a simulator's.
    #[schemars(extend("x-disagg" = optional(ProviderOnly), "format" = "url"))]
    pub endpoint_url: Attr<String>,
}

/// A role to take on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AssumeRole {
    /// The role, as in `arn:aws:iam::123456789012:role/inference`.
    #[schemars(extend("x-disagg" = required(ProviderOnly), "format" = "role-arn"))]
    pub role_arn: Attr<String>,

    /// The external id that the role's trust policy requires, if it does.
    #[schemars(extend("x-disagg" = optional(ProviderOnly), "format" = "word"))]
    pub external_id: Attr<String>,

    /// The name of the session in the account's logs; `terraform-provider-disagg` by default.
    #[schemars(extend("x-disagg" = optional(ProviderOnly), "format" = "word"))]
    pub session_name: Attr<String>,
}

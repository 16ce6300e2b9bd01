//! `disagg_fleet`: one placement in one zone, with its network rules.

use crate::service::Cidr;
use crate::table::{ChangeClass::*, ImportSource::*, computed, optional, required};
use crate::timeouts::Timeouts;
use plugin::Attr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A fleet is one placement in one zone of one cloud, with its network rules. Services put their
/// router and their workers into it, and all of them share its fast fabric. It is deleted only when
/// no service is left in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fleet {
    /// `cloud/region/name`. Known in the plan, because it is made of configuration.
    #[schemars(extend("x-disagg" = computed().import(Id)))]
    pub id: Attr<String>,

    /// The fleet's name, claimed once per account and region: lower-case letters, digits and
    /// hyphens, at most 30 characters, a letter first.
    #[schemars(extend("x-disagg" = required(Replace).import(Id), "format" = "name"))]
    pub name: Attr<String>,

    /// The cloud: `local`, `aws`, `gcp` or `azure`.
    #[schemars(extend("x-disagg" = required(Replace).import(Id), "format" = "cloud"))]
    pub cloud: Attr<String>,

    /// The region. Always `local` on the local cloud. On AWS the provider's `aws.region` and the
    /// environment's `AWS_REGION` stand in for it; what a fleet was made with is kept.
    #[schemars(extend("x-disagg" = optional(Replace).computed().import(Id), "format" = "location"))]
    pub region: Attr<String>,

    /// The zone. When it is left out, one that offers all of `gpus` is taken and kept: one with the most
    /// machines to choose from, and of several such zones not the same one for every fleet.
    #[schemars(extend("x-disagg" = optional(Replace).computed().import(Cloud), "format" = "location"))]
    pub zone: Attr<String>,

    /// The subnet, by its id, as in `subnet-0123456789abcdef0`: it is in the fleet's zone, and names the
    /// zone when nothing else does. By default the default one of the zone, in the account's default
    /// network. The local cloud has none.
    #[schemars(extend("x-disagg" = optional(Replace).computed().import(Cloud), "format" = "word"))]
    pub subnet: Attr<String>,

    /// `cluster` asks for one fast fabric (cluster placement group, compact placement policy,
    /// availability set) and fails when there is none; `zone` asks for the same zone only.
    #[schemars(extend("x-disagg" = optional(Replace).default("cluster").import(Cloud), "enum" = ["cluster", "zone"]))]
    pub placement: Attr<String>,

    /// The GPUs that the fleet's zone must offer, as in `H200:8`. They choose the zone when it is
    /// not given, and nothing is bought for them.
    #[schemars(extend("x-disagg" = optional(ProviderOnly)))]
    pub gpus: Attr<Vec<Attr<Gpu>>>,

    /// Access to the machines for people, by SSH; none by default. Only on AWS, where Systems Manager's
    /// sessions need neither a key nor an open port.
    #[schemars(extend("x-disagg" = optional(InPlace).import(Cloud)))]
    pub ssh: Attr<Ssh>,

    /// What in the cloud is not as it was made (object → finding). Always planned empty, so that a
    /// finding is a visible change.
    #[schemars(extend("x-disagg" = computed()))]
    pub drift: Attr<BTreeMap<String, String>>,

    /// How long each operation may take. By default 10 minutes to create and to change, 5 to look, 20 to remove.
    #[schemars(extend("x-disagg" = optional(ProviderOnly)))]
    pub timeouts: Attr<Timeouts>,
}

/// Access to the machines for people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ssh {
    /// The key pair, by its name in the region. Machines that are launched from then on have it; a change
    /// of it touches no other.
    #[schemars(extend("x-disagg" = required(InPlace).import(Cloud), "format" = "word"))]
    pub key_name: Attr<String>,

    /// The address blocks from which port 22 can be reached.
    #[schemars(extend("x-disagg" = required(InPlace).import(Cloud), "uniqueItems" = true))]
    pub ingress_cidrs: Attr<Vec<Attr<Cidr>>>,
}

/// A GPU request: `H200` is exactly one, `H200:8` exactly eight, `H200:4..8` a range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("format" = "gpu"))]
pub struct Gpu(pub String);

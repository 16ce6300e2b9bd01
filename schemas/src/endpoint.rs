//! `disagg_endpoint`: the moment at which the service answers.

use crate::table::{ChangeClass::*, ImportSource::*, computed, optional, required};
use crate::timeouts::Timeouts;
use plugin::Attr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An endpoint waits until a real chat completion is answered by the service's replica groups, so
/// that whatever depends on it can send requests. The machine that runs Terraform asks; where it has no
/// way in, the router's own chat counts, and a warning says so. It owns nothing in the cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// The service's id.
    #[schemars(extend("x-disagg" = computed().import(Id)))]
    pub id: Attr<String>,

    /// The `id` of the service.
    #[schemars(extend("x-disagg" = required(Replace).import(Id), "format" = "service-id"))]
    pub service_id: Attr<String>,

    /// The `id` of every replica group that must be there before the first request: a change of
    /// them waits again.
    #[schemars(extend("x-disagg" = optional(InPlace), "uniqueItems" = true))]
    pub group_ids: Attr<Vec<Attr<GroupReference>>>,

    /// What else must answer before the endpoint counts as ready.
    #[schemars(extend("x-disagg" = optional(ProviderOnly)))]
    pub probe: Attr<Probe>,

    /// `http://address:port/v1`, for clients of the OpenAI API.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub url: Attr<String>,

    /// The model's name for clients.
    #[schemars(extend("x-disagg" = computed().import(Tag)))]
    pub model: Attr<String>,

    /// What in the cloud is not as it was made (object → finding). Always planned empty, so that a
    /// finding is a visible change.
    #[schemars(extend("x-disagg" = computed()))]
    pub drift: Attr<BTreeMap<String, String>>,

    /// How long each operation may take. By default 15 minutes to create and to change, 5 to look, 20 to remove.
    #[schemars(extend("x-disagg" = optional(ProviderOnly)))]
    pub timeouts: Attr<Timeouts>,
}

/// What else must answer with 200.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// The path on the service's port, beginning with `/`.
    #[schemars(extend("x-disagg" = optional(ProviderOnly).default("/health"), "format" = "url-path"))]
    pub path: Attr<String>,

    /// The longest pause between two looks, as in `15s`. The first looks follow each other faster.
    #[schemars(extend("x-disagg" = optional(ProviderOnly).default("15s"), "format" = "duration"))]
    pub interval: Attr<String>,
}

/// The id of a replica group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("format" = "group-id"))]
pub struct GroupReference(pub String);

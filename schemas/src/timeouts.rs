//! The `timeouts` attribute that every resource has.

use crate::table::{ChangeClass::ProviderOnly, optional};
use plugin::Attr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long an operation may take, as in `45m` or `1h30m`, before it gives up, tells what it was
/// waiting for and leaves the rest to the next apply.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timeouts {
    /// For the creation.
    #[schemars(extend("x-disagg" = optional(ProviderOnly)))]
    pub create: Attr<String>,

    /// For one look at the cloud.
    #[schemars(extend("x-disagg" = optional(ProviderOnly)))]
    pub read: Attr<String>,

    /// For a change in place.
    #[schemars(extend("x-disagg" = optional(ProviderOnly)))]
    pub update: Attr<String>,

    /// For the removal.
    #[schemars(extend("x-disagg" = optional(ProviderOnly)))]
    pub delete: Attr<String>,
}

//! The router guard: what a plan may not do to a live router, and the ways out.
//!
//! A router is live from the moment it was first healthy: workers may hold connections to it. The
//! guard judges changes that were found elsewhere; it reads neither configuration nor cloud.

use std::net::IpAddr;

/// What a change of an attribute does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeClass {
    /// It is baked into the router. Refused while the router is live; a replacement otherwise.
    Refused,
    /// It is changed in the cloud without touching a machine.
    InPlace,
    /// It is baked into workers: they are replaced one after the other.
    Rolling,
    /// It makes another object: the old one is removed, a new one made.
    Replace,
    /// Only the provider's own behaviour changes, without a call to the cloud.
    ProviderOnly,
}

/// One attribute that differs between state and plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeChange {
    /// Its dotted path: `router.resources.cpu`.
    pub path: String,
    /// What the change does.
    pub class: ChangeClass,
    /// Its value in the state, as JSON.
    pub old: String,
    /// Its value in the plan.
    pub new: NewValue,
}

/// A planned value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewValue {
    /// Known now, as JSON.
    Known(String),
    /// Known only at apply.
    Unknown,
}

/// A router that exists and was once healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveRouter {
    /// The service's id.
    pub service: String,
    /// Its reserved address.
    pub address: IpAddr,
    /// Workers that run, where that is known.
    pub workers: Option<u32>,
}

/// What the user wants to happen when a live router would be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRouterChange {
    /// The plan is refused.
    Refuse,
    /// The service is replaced, and with it all its replica groups.
    Replace,
}

/// Judges changes of a service whose router is live.
///
/// Refusing: each known change of a refused attribute is a refusal, and so is an unknown
/// `fleet_id`, because a router never moves; any other unknown value is a warning, and is judged
/// again at apply. Replacing: nothing is refused, and unknown values are warned of only when nothing
/// else makes the plan a replacement.
pub fn guard(
    router: &LiveRouter,
    changes: &[AttributeChange],
    on_router_change: OnRouterChange,
) -> Vec<Violation> {
    let refused = || changes.iter().filter(|change| change.class == ChangeClass::Refused);
    let is_certain = |change: &AttributeChange| {
        change.new != NewValue::Unknown || change.path == MOVES_THE_ROUTER
    };
    if on_router_change == OnRouterChange::Replace && refused().any(is_certain) {
        return Vec::new();
    }
    refused()
        .map(|change| Violation {
            path: change.path.clone(),
            old: change.old.clone(),
            new: change.new.clone(),
            severity: if is_certain(change) { Severity::Refusal } else { Severity::UnknownWarning },
            router: router.clone(),
        })
        .collect()
}

/// The attribute that no router can follow.
const MOVES_THE_ROUTER: &str = "fleet_id";

/// One attribute whose change the guard does not let through as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The attribute's dotted path.
    pub path: String,
    /// Its value in the state, as JSON.
    pub old: String,
    /// Its value in the plan.
    pub new: NewValue,
    /// Whether the plan ends here.
    pub severity: Severity,
    router: LiveRouter,
}

/// Whether a violation ends the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It does.
    Refusal,
    /// The value is not known yet; at apply a different one is refused.
    UnknownWarning,
}

impl Violation {
    /// Whether the plan ends here.
    pub fn is_refusal(&self) -> bool {
        self.severity == Severity::Refusal
    }

    /// What happened, in a few words.
    pub fn summary(&self) -> &'static str {
        match self.severity {
            Severity::Refusal => "Router replacement is not allowed",
            Severity::UnknownWarning => "Router change cannot be judged yet",
        }
    }

    /// What would change, why that is refused, and what can be done.
    pub fn detail(&self) -> String {
        let change = self.change();
        let why = self.why();
        match self.severity {
            Severity::Refusal => format!("{change}\n\n{why}\n\n{WAYS_OUT}"),
            Severity::UnknownWarning => format!(
                "{change}\n\n{why}\n\nIf the value turns out to be the same, nothing happens. If it \
                 differs, the apply stops at this service before it changes anything, and the next \
                 plan, which knows the value, shows the ways out."
            ),
        }
    }

    fn change(&self) -> String {
        let Self { path, old, .. } = self;
        match &self.new {
            NewValue::Known(new) => format!("`{path}`: {old} -> {new}"),
            NewValue::Unknown => format!("`{path}`: {old} -> (known after apply)"),
        }
    }

    fn why(&self) -> String {
        let LiveRouter { service, address, workers } = &self.router;
        let held = match workers {
            None => format!("its workers hold connections to {address}"),
            Some(0) => format!("workers are told to register at {address}, though none runs now"),
            Some(1) => format!("1 running worker holds connections to {address}"),
            Some(count) => format!("{count} running workers hold connections to {address}"),
        };
        format!(
            "This is baked into the router of service {service}, so a change of it is another \
             router. The router is live: {held}. Without it they stop, and load the model again."
        )
    }
}

/// Each of these was run against Terraform.
const WAYS_OUT: &str = "\
To make the change anyway, do one of these:
  - Set `on_router_change = \"replace\"` on the service. The same change then plans the replacement \
of the service and of all its replica groups, in full view.
  - Add a second service with the new value, with replica groups of its own, move the clients to its \
endpoint, and remove this one.
  - Remove the service and its replica groups from the configuration and apply, then put them back \
with the new value and apply.

`terraform apply -replace=ADDRESS` works only while nothing that is baked in has changed, and \
`terraform destroy` only then or with `-refresh=false`: both make an ordinary plan first.";

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;

//! The tags of a service's router and of its address.

use super::find::ROUTER;
use cloud::{Phase, Tags, tag};
use domain::spec::{RouterSpec, ServiceFacts};

/// What the router carries as long as it lives.
pub(crate) fn of_router(spec: &RouterSpec) -> Tags {
    Tags::from([
        (tag::MANAGED_BY, tag::MANAGED_BY_US.to_owned()),
        (tag::FLEET, spec.fleet.name.clone()),
        (tag::SERVICE, spec.id().label()),
        (tag::ROLE, ROUTER.to_owned()),
        (tag::DIGEST, spec.digest()),
    ])
}

/// What the address carries as long as it lives: the same, and what groups need to know.
pub(crate) fn of_address(spec: &RouterSpec) -> Tags {
    let mut tags = of_router(spec);
    tags.extend(ServiceFacts::tags_of(spec));
    tags
}

/// The same for something that is being made.
pub(crate) fn creating(mut tags: Tags) -> Tags {
    tags.extend(Phase::Creating.tag());
    tags
}

//! User data and the real cloud-init: judged by its own code, and booted.
//!
//! | module | owns |
//! |---|---|
//! | [`image`] | the two Debians, with the two cloud-inits, that hosts boot from |
//! | [`datacentre`] | a network with a metadata service, and hosts in it |
//! | [`ec2`] | the machines of a simulated EC2, booted as hosts |
//! | [`rules`] | security groups, public addresses and NAT as packet filters |
//! | [`service`] | a router and workers of one service, on hosts |
//! | [`specs`] | what they are made of |
//! | [`corpus`] | every kind of machine that there is user data for |
//! | [`judge`] | what cloud-init, bash and systemd say of user data, without a boot |
//! | [`wait`] | waiting for conditions, and telling how long it took |
//!
//! Deliberately not here: the provider, Terraform, and what the scripts of a machine do, which
//! `provider/crates/domain/boot/test` tests without cloud-init. Everything needs root, for
//! namespaces; without it each test fails and says so.

pub mod corpus;
pub mod datacentre;
pub mod ec2;
pub mod image;
pub mod judge;
pub mod rules;
pub mod service;
pub mod specs;
pub mod wait;

/// Where the scripts of this crate are.
const SCRIPTS: &str = env!("CARGO_MANIFEST_DIR");

/// Ends the test when it cannot work.
///
/// # Panics
/// Without root.
pub(crate) fn require_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "hosts in namespaces need root: run the tests as root, or leave them out with \
         `cargo test --workspace --exclude hosts`"
    );
}

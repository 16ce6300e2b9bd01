//! Disaggregated inference itself, pure: no I/O, no async, no Terraform, no vendor SDK.
//!
//! | module | owns | holds |
//! |---|---|---|
//! | [`id`] | ids of fleets, services, groups; import paths | an id parses back from its text |
//! | [`name`], [`gpu`], [`duration`], [`cidr`], [`environment`], [`secret`] | values that users write | a refusal says what would be right and never repeats a secret |
//! | [`credential`] | what looks like a secret | a guess, for warnings |
//! | [`version`] | what each version of Dynamo needs | one table |
//! | [`catalogue`] | machines and prices of each cloud | data files with source and date |
//! | [`ports`] | every port of a service | no port of a machine twice, none above 32767 |
//! | [`spec`] | what is baked into a machine | its digest depends on the inputs alone |
//! | [`engine`], [`router_setup`] | what a machine runs | one file per engine, one list |
//! | [`boot_document`], [`made_from`] | what a machine boots from, and the spec read back from it | a pure function of its inputs, the same on every call |
//! | [`guard`] | changes of a live router | every change of a refused attribute is a violation |
//! | [`scaling`] | the size of a group, or its bounds | its text reads back |
//! | [`finding`] | what is not as it was made | data; who shows it has the words |
//! | [`planner`] | counts, slots, the router's recovery | nothing is removed beyond the difference |
//! | [`drain`] | what a worker's router is told before it goes, and when it is empty | what cannot be read is not empty |
//! | [`console`], [`registration`] | what machines and the router report | text in, facts out |
//!
//! The one dependency inside the workspace is the contract of the clouds, re-exported as [`cloud`].

mod boot;
mod canonical;
mod host_machine;
#[cfg(test)]
mod sample;

pub mod boot_document;
pub mod catalogue;
pub mod cidr;
pub mod console;
pub mod credential;
pub mod drain;
pub mod duration;
pub mod engine;
pub mod environment;
pub mod finding;
pub mod gpu;
pub mod guard;
pub mod id;
pub mod local_gpus;
pub mod made_from;
pub mod market;
pub mod name;
pub mod planner;
pub mod ports;
pub mod registration;
pub mod router_setup;
pub mod scaling;
pub mod secret;
pub mod spec;
pub mod text;
pub mod version;

pub use ::cloud;
pub use boot::SCRIPT_VERSION;

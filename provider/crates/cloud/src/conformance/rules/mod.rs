//! The rules. Each file has those about one kind of thing; this is the list of them all.

mod accidents;
mod addresses;
mod fleets;
mod instances;
mod launches;
mod options;
mod traffic;

use super::examination::{Examination, Outcome};
use std::pin::Pin;

/// A rule of the contract.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What every cloud keeps to, in one sentence.
    pub name: &'static str,
    /// The methods of the contract that it examines; all of them are called.
    pub methods: &'static [&'static str],
    pub(super) check: Check,
}

pub(super) type Check = for<'a> fn(&'a Examination<'a>) -> Examined<'a>;
pub(super) type Examined<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// One line of the table.
macro_rules! rule {
    ($name:literal, [$($method:literal),+], $check:path) => {
        Rule { name: $name, methods: &[$($method),+], check: |examination| Box::pin($check(examination)) }
    };
}

/// All of them.
pub const RULES: &[Rule] = &[
    rule!(
        "absent is not an error",
        [
            "get_fleet",
            "delete_fleet",
            "list_instances",
            "find_instances",
            "list_addresses",
            "boot_document",
            "console",
            "terminate_instances",
            "why_ended",
            "release_address"
        ],
        fleets::absence
    ),
    rule!("a region has sites, and some of them have the offer", ["find_sites"], fleets::sites),
    rule!(
        "a subnet is found with its zone, and a fleet can be in it",
        ["find_sites", "create_fleet"],
        fleets::subnet
    ),
    rule!(
        "the same request makes the same fleet",
        ["create_fleet", "get_fleet"],
        fleets::same_request
    ),
    rule!(
        "a fleet is listed in its region as long as it is there",
        ["list_fleets", "create_fleet", "delete_fleet"],
        fleets::listed
    ),
    rule!("a fleet's name is claimed once", ["create_fleet", "tag"], fleets::claim),
    rule!("of two that claim a name at once one has it", ["create_fleet"], fleets::claimed_at_once),
    rule!(
        "a repair finds nothing amiss in a fleet that is as it was made",
        ["repair_fleet"],
        fleets::repair_of_nothing
    ),
    rule!(
        "what somebody has changed about a fleet is found and put back",
        ["get_fleet", "repair_fleet"],
        fleets::repair
    ),
    rule!(
        "a deleted fleet leaves nothing, and what is in use cannot go",
        ["delete_fleet", "release_address", "terminate_instances"],
        fleets::deletion
    ),
    rule!(
        "same token, same address",
        ["reserve_address", "release_address"],
        addresses::same_token
    ),
    rule!("one address of several reservations at once", ["reserve_address"], addresses::at_once),
    rule!(
        "addresses are found by every label that a filter names, and tags are set one by one",
        ["list_addresses", "tag"],
        addresses::tags
    ),
    rule!(
        "an address is public as far as that is wished for",
        ["reserve_address", "list_addresses"],
        addresses::public
    ),
    rule!(
        "a launch can be checked without being made",
        ["check_launch", "name", "profile"],
        launches::check
    ),
    rule!("same token, same instances", ["launch", "list_instances"], launches::same_token),
    rule!(
        "how old an instance is is told by the cloud's own clock",
        ["launch", "now"],
        launches::clock
    ),
    rule!("one set of instances of several launches at once", ["launch"], launches::at_once),
    rule!(
        "a launch that is dropped on its way is gone on with by the same request",
        ["launch", "list_instances"],
        launches::dropped
    ),
    rule!(
        "a launch gives as many as were asked for, each with an address",
        ["launch", "list_instances"],
        launches::several
    ),
    rule!(
        "an instance comes up with its address, its tags, its boot document and what it prints",
        ["launch", "boot_document", "console"],
        launches::comes_up
    ),
    rule!(
        "an instance is found by its id, and one that is gone is none",
        ["find_instances"],
        instances::found
    ),
    rule!(
        "instances are found by every label that a filter names, and tags are set one by one",
        ["list_instances", "tag"],
        instances::tags
    ),
    rule!("a reboot keeps instance and address", ["reboot_instance"], instances::reboot),
    rule!(
        "terminated instances go, and no others",
        ["terminate_instances"],
        instances::termination
    ),
    rule!(
        "a repair finds nothing amiss in an instance that is as it was made",
        ["repair_instance"],
        instances::repair_of_nothing
    ),
    rule!(
        "what somebody has changed about an instance is found and put back",
        ["list_instances", "repair_instance"],
        instances::repair
    ),
    rule!(
        "an instance has the identity that it was launched with",
        ["check_launch", "launch"],
        options::identity
    ),
    rule!(
        "instances are taken out of a reservation",
        ["check_launch", "launch"],
        options::reservation
    ),
    rule!(
        "an instance is made from the image that is asked for",
        ["check_launch", "launch"],
        options::image
    ),
    rule!("instances are bought on the spot market", ["check_launch", "launch"], options::spot),
    rule!(
        "an instance gets a public address of its own when it runs",
        ["launch", "repair_instance"],
        options::egress
    ),
    rule!(
        "a service has exactly the rule that was set last",
        ["set_ingress", "get_fleet"],
        traffic::ingress
    ),
    rule!(
        "people have exactly the access that was set last",
        ["set_ssh", "get_fleet"],
        traffic::ssh
    ),
    rule!("a stopped instance can be started again", ["start_instance"], accidents::stopped),
    rule!("a reboot mends an impaired instance", ["reboot_instance"], accidents::impaired),
    rule!(
        "a lost instance is not listed, and its token never means it again",
        ["launch", "list_instances"],
        accidents::lost
    ),
    rule!(
        "why an instance has ended is told, and nothing of one that runs",
        ["why_ended"],
        accidents::ended
    ),
    rule!(
        "a launch gives all or none, and it is the launch that says what lacks capacity",
        ["launch", "list_instances"],
        accidents::full
    ),
];

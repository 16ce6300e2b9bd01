//! Fleets, services and groups that are there, are missing, are in use or cannot be put back, in words.

use super::text::{at, capitalised};
use domain::id::{FleetId, ServiceId};
use orchestration::failure::{Missing, Unrepairable};
use orchestration::object::Object;
use plugin::{AttributePath, Diagnostic};

pub(super) fn already_exists(what: &Object) -> Diagnostic {
    let (address, import) = (resource_of(what), what.import_path());
    Diagnostic::error(
        "Already exists",
        format!(
            "{} exists already, and is not in this state under this address. Nothing was changed.\n\n\
             If another address in this state has it, write down where it goes:\n\n{}\n\nIf it is to \
             be managed here and no state has it, import it:\n\n  terraform import {address} {import}\n\n\
             If it belongs to another state, or to the old object of a `create_before_destroy`, the two need \
             different names: give the new one another.",
            capitalised(&what.to_string()),
            moved(address)
        ),
    )
}

pub(super) fn missing_object(
    what: &str,
    hint: String,
    attribute: Option<AttributePath>,
) -> Diagnostic {
    at(Diagnostic::error(format!("{} not found", capitalised(what)), hint), attribute)
}

pub(super) fn missing(what: &Missing) -> Diagnostic {
    let of_service = |what: String, hint: String| {
        missing_object(&what, hint, Some(AttributePath::root("service_id")))
    };
    match what {
        Missing::Fleet(fleet @ FleetId { cloud, region, name }) => missing_object(
            &format!("fleet {fleet}"),
            format!(
                "The cloud `{cloud}` has no fleet `{name}` in region `{region}`. Refer to the fleet's \
                 resource, as in `fleet_id = disagg_fleet.NAME.id`, so that it is created first. If it \
                 exists in another account or state directory, this resource needs the same provider \
                 configuration as the fleet."
            ),
            Some(AttributePath::root("fleet_id")),
        ),
        Missing::Service(id @ ServiceId { fleet, .. }) => of_service(
            format!("service {id}"),
            format!(
                "Fleet {fleet} has no such service. If it was removed by hand, `terraform plan` shows \
                 what is left of it."
            ),
        ),
        Missing::Facts { service, error } => of_service(
            format!("service {service}"),
            format!("The tags of its address cannot be read: {error}."),
        ),
        Missing::Router(id) => of_service(
            format!("router of service {id}"),
            "Its machine is gone, and workers without a router are paid for and do nothing. \
             Apply the service first, it is recovered at its address: \
             `terraform apply -target=disagg_service.NAME`."
                .to_owned(),
        ),
    }
}

pub(super) fn way_out(why: Unrepairable) -> &'static str {
    match why {
        Unrepairable::Fleet => {
            "Put it back by hand, or replace the fleet and each service in it, which ends \
             them for a while: `terraform apply -replace=disagg_fleet.NAME \
             -replace=disagg_service.NAME`."
        }
        Unrepairable::AddressGone => {
            "Its workers were told that address at their boot and would never find a \
             router at another one. Replace the service, which replaces its replica \
             groups too: `terraform apply -replace=disagg_service.NAME`."
        }
        Unrepairable::MadeFromAnother => {
            "Nobody knows what it runs, and workers hold connections to it. Replace \
             the service, which replaces its replica groups too: \
             `terraform apply -replace=disagg_service.NAME`."
        }
        Unrepairable::Unreadable => {
            "Nobody knows whose it is, and machines of this group may be removed. If it is not one of them, take \
             the group's tags from it. If it is, terminate it in the cloud: another one takes its place."
        }
        Unrepairable::SettingsNeedAnother => {
            "That takes another router, and workers hold connections to this one. Put it back \
             by hand, or replace the service, which replaces its replica groups too: \
             `terraform apply -replace=disagg_service.NAME`."
        }
    }
}

pub(super) fn how_to_free(what: &Object) -> &'static str {
    match what {
        Object::Fleet(_) => {
            "A fleet is removed only when no service is left in it. If this run removes them \
             too, run it again: refer to the resource, as in `fleet_id = disagg_fleet.NAME.id`, \
             and Terraform knows the order. If this run replaces the fleet, replace its services \
             with it: `terraform apply -replace=disagg_service.NAME`. Else remove these first; \
             import them if no state has them."
        }
        Object::Service(_) | Object::ReplicaGroup(_) => {
            "Workers without their router are paid for and do nothing. If this run removes \
             them too, run it again: refer to the resource, as in `service_id = \
             disagg_service.NAME.id`, and Terraform knows the order. Else remove these groups \
             first; if another state has them, remove them there, or import them here with \
             `terraform import disagg_replica_group.NAME cloud/region/fleet/service/group`."
        }
    }
}

/// One object that a run removes at one address in Terraform, and makes or keeps at another.
pub(crate) fn two_addresses(what: &str, kind: &str) -> Diagnostic {
    Diagnostic::error(
        format!("Two addresses for {what}"),
        format!(
            "This configuration removes {what} at one address in Terraform, and makes it or has it at another. It \
             is the same one in the cloud: to remove it there would end what serves, for a name of \
             Terraform. Nothing was changed.\n\nIf the resource is only called otherwise now, write it \
             down:\n\n{}\n\nIf both addresses are in the state since an import, forget the old one: \
             `terraform state rm ADDRESS`. If these are to be two, the new one needs another name, which a \
             `create_before_destroy` needs as well. To remove everything, `terraform destroy -refresh=false` does \
             without this plan.",
            moved(&format!("{kind}.NAME"))
        ),
    )
}

/// A group that is handed over to another address in Terraform.
pub(crate) fn address_changes(what: &str) -> Diagnostic {
    Diagnostic::warning(
        format!("Another address for {what}"),
        format!(
            "The plan shows a removal and a creation of {what}: the resource has another address in Terraform \
             now. It is the same one in the cloud, so its machines are handed over, and none of them goes for \
             that. With a `moved` block the plan says so itself:\n\n{}",
            moved("disagg_replica_group.NAME")
        ),
    )
}

/// `address` ends with `NAME`.
fn moved(address: &str) -> String {
    format!(
        "  moved {{\n    from = {}\n    to   = {}\n  }}",
        address.replace("NAME", "OLD_NAME"),
        address.replace("NAME", "NEW_NAME")
    )
}

/// The name of a resource of this kind, in commands and blocks.
fn resource_of(what: &Object) -> &'static str {
    match what {
        Object::Fleet(_) => "disagg_fleet.NAME",
        Object::Service(_) => "disagg_service.NAME",
        Object::ReplicaGroup(_) => "disagg_replica_group.NAME",
    }
}

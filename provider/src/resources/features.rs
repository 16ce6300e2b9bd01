//! Attributes that only some clouds have a use for.

use cloud::{CloudName, Feature};
use plugin::{AttributePath, Diagnostic, Diagnostics};

/// What a cloud has to have for each attribute, and what is said of the machines of one that has not.
const NEEDS: &[(&str, Feature, &str)] = &[
    ("subnet", Feature::Subnet, "are in no subnet"),
    ("ssh", Feature::SshKey, "have no keys of people"),
    ("identity", Feature::Identity, "have no identity of their own"),
    ("image", Feature::Image, "are not made from images"),
    ("market", Feature::Spot, "are had on demand, and not otherwise"),
    ("reservation", Feature::Reservation, "are not taken out of reservations"),
    ("egress", Feature::PublicAddress, "have no public addresses of their own"),
];

/// Refuses what is asked for on a cloud that has no such thing: `asked` says of attributes of the list
/// whether they ask for more than every cloud has.
pub(super) fn missing(cloud: CloudName, asked: &[(&str, bool)]) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    for (attribute, feature, phrase) in NEEDS {
        if !cloud.has(*feature) && asked.contains(&(*attribute, true)) {
            diagnostics.push(
                Diagnostic::error(
                    format!("`{attribute}` on a cloud without it"),
                    format!("Machines on `{cloud}` {phrase}. Leave `{attribute}` out."),
                )
                .at(AttributePath::root(attribute)),
            );
        }
    }
    diagnostics
}

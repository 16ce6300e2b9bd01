//! Subnets: the default one of each zone, and those of the settings.

use super::refusal::Refusal;
use super::region::Region;
use crate::datacentre::WayOut;
use serde::Deserialize;

/// The default network.
pub(super) const VPC: &str = "vpc-default";

/// A subnet.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subnet {
    /// Its zone.
    pub zone: String,
    /// Its network; the default one if it is not named.
    #[serde(default = "default_network")]
    pub vpc: String,
    /// What leads out of it.
    #[serde(default)]
    pub way_out: WayOut,
}

impl Region {
    /// Every subnet with its id.
    pub(super) fn subnets(&self) -> Vec<(String, Subnet)> {
        let way_out = if self.account.public { WayOut::Gateway } else { WayOut::None };
        let default = |zone: &String| {
            let subnet = Subnet { zone: zone.clone(), vpc: default_network(), way_out };
            (subnet_of(zone), subnet)
        };
        let own = self.account.subnets.iter().map(|(id, subnet)| (id.clone(), subnet.clone()));
        self.settings.zones.keys().map(default).chain(own).collect()
    }

    /// A subnet by its id.
    pub(super) fn subnet(&self, id: &str) -> Result<Subnet, Refusal> {
        let found = self.subnets().into_iter().find(|(found, _)| found == id);
        found.map(|(_, subnet)| subnet).ok_or_else(|| {
            Refusal::new("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist"))
        })
    }
}

/// The default subnet of a zone.
pub(super) fn subnet_of(zone: &str) -> String {
    format!("subnet-{zone}")
}

fn default_network() -> String {
    VPC.to_owned()
}

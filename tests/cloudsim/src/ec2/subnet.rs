//! Subnets: the default one of each zone, and those of the settings.

use crate::datacentre::{Datacentre, Refusal};
use serde::Deserialize;

/// The default network.
pub(crate) const VPC: &str = "vpc-default";

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

/// What leads out of a subnet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WayOut {
    /// Nothing.
    None,
    /// Endpoints of some services.
    Endpoints,
    /// An internet gateway: what has a public address.
    #[default]
    Gateway,
    /// NAT.
    Nat,
}

impl Datacentre {
    /// Every subnet with its id.
    pub(crate) fn subnets(&self) -> Vec<(String, Subnet)> {
        let way_out = if self.settings.public { WayOut::Gateway } else { WayOut::None };
        let default = |zone: &String| {
            let subnet = Subnet { zone: zone.clone(), vpc: default_network(), way_out };
            (subnet_of(zone), subnet)
        };
        let own = self.settings.subnets.iter().map(|(id, subnet)| (id.clone(), subnet.clone()));
        self.settings.zones.keys().map(default).chain(own).collect()
    }

    /// A subnet by its id.
    pub(crate) fn subnet(&self, id: &str) -> Result<Subnet, Refusal> {
        let found = self.subnets().into_iter().find(|(found, _)| found == id);
        found.map(|(_, subnet)| subnet).ok_or_else(|| {
            Refusal::new("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist"))
        })
    }
}

/// The default subnet of a zone.
pub(crate) fn subnet_of(zone: &str) -> String {
    format!("subnet-{zone}")
}

fn default_network() -> String {
    VPC.to_owned()
}

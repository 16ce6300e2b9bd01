//! Reserved capacity: a number of machines of one type in one zone, on demand or as a block.

use super::launch::Launch;
use super::refusal::Refusal;
use super::region::Region;
use serde::Deserialize;

/// A reservation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// Its zone.
    pub zone: String,
    /// The type of its machines.
    pub instance_type: String,
    /// How many there are.
    pub machines: u32,
    /// Whether it is a capacity block.
    #[serde(default)]
    pub block: bool,
}

impl Region {
    /// Whether a launch may be taken out of the reservation that it names.
    pub(super) fn check_reservation(&self, launch: &Launch, zone: &str) -> Result<(), Refusal> {
        let market = launch.more.get("InstanceMarketOptions.MarketType").map(String::as_str);
        let Some(id) = launch.reservation() else {
            return match market {
                Some("capacity-block") => Err(Refusal::new(
                    "InvalidParameterCombination",
                    "A capacity block needs a capacity reservation to be targeted.",
                )),
                _ => Ok(()),
            };
        };
        let found = self.account.reservations.get(id).ok_or_else(|| {
            Refusal::new(
                "InvalidCapacityReservationId.NotFound",
                format!("The capacity reservation '{id}' does not exist."),
            )
        })?;
        if found.block != (market == Some("capacity-block")) {
            return Err(Refusal::new(
                "InvalidParameterCombination",
                "The market type does not match the targeted Capacity Reservation.",
            ));
        }
        if found.instance_type != launch.instance_type || found.zone != zone {
            return Err(Refusal::new(
                "InvalidParameterValue",
                "The attributes of the launch do not match the targeted Capacity Reservation.",
            ));
        }
        let is_of = |machine: &String| {
            self.instances.get(machine).and_then(|instance| instance.launch.reservation())
                == Some(id)
        };
        let taken = self
            .machines
            .values()
            .filter(|machine| self.state(machine).lives() && is_of(&machine.id));
        let taken = u32::try_from(taken.count()).unwrap_or(u32::MAX);
        if taken + launch.count > found.machines {
            return Err(Refusal::new(
                "ReservationCapacityExceeded",
                format!("The capacity reservation '{id}' has no capacity left."),
            ));
        }
        Ok(())
    }
}

impl Launch {
    /// The reservation that it is to be taken out of.
    pub(super) fn reservation(&self) -> Option<&str> {
        let key =
            "CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId";
        self.more.get(key).map(String::as_str)
    }
}

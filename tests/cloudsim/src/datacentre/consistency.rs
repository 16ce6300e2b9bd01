//! Eventual consistency: what was made a moment ago is not known to every server of the API.
//!
//! For the first half of [`Settings::known_after_seconds`](super::Settings) no server knows a new object,
//! for the second half every other call meets one that does. A call that makes something again by its
//! token is answered in full all the time. Not here: changes of what is known, which show at once.

use super::{Datacentre, Refusal};
use std::time::Duration;

impl Datacentre {
    /// Whether the server that answers this call knows the object.
    pub(crate) fn knows(&self, id: &str) -> bool {
        let Some(made_at) = self.births.get(id) else { return true };
        let age = self.now().saturating_sub(*made_at);
        let known_after = Duration::from_secs_f64(self.settings.known_after_seconds);
        let is_ahead = self.calls.values().sum::<u64>() % 2 == 0;
        age >= known_after || (age >= known_after / 2 && is_ahead)
    }

    /// Refuses a call that names an object which its server does not know yet.
    pub(crate) fn check_known<'a>(
        &self,
        mut ids: impl Iterator<Item = &'a String>,
    ) -> Result<(), Refusal> {
        let unknown = ids.find(|id| !self.knows(id));
        unknown.map_or(Ok(()), |id| Err(not_found(id)))
    }
}

/// What an id is refused with that nothing has, by the kind of thing that it looks like.
pub(crate) fn not_found(id: &str) -> Refusal {
    not_found_as(id.split('-').next().unwrap_or_default(), id)
}

/// The same for a call that means one kind of thing, by the prefix of its ids.
pub(crate) fn not_found_as(prefix: &str, id: &str) -> Refusal {
    let (code, what) = match prefix {
        "i" => ("InvalidInstanceID.NotFound", "instance ID"),
        "eni" => ("InvalidNetworkInterfaceID.NotFound", "networkInterface ID"),
        "sg" => ("InvalidGroup.NotFound", "security group"),
        "eipalloc" => ("InvalidAllocationID.NotFound", "allocation ID"),
        _ => ("InvalidID", "ID"),
    };
    Refusal::new(code, format!("The {what} '{id}' does not exist"))
}

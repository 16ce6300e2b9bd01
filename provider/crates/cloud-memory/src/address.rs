//! Reserved addresses: made, made public or not, given back.

use crate::change::Change;
use crate::history::History;
use crate::state::AddressRecord;
use crate::view::View;
use cloud::{Address, AddressId, AddressRequest, CloudError, ErrorKind, Feature, FleetKey, Result};
use std::sync::Arc;

impl Change<'_> {
    pub(crate) fn reserve_address(&mut self, request: AddressRequest) -> Result<Address> {
        const OPERATION: &str = "ReserveAddress";
        let fleet = self.find_fleet(OPERATION, &request.fleet)?;
        let Self { settings, now, .. } = *self;
        // Networks of this cloud lead to the internet by themselves where it has public addresses at all.
        let is_public = settings.has(Feature::PublicAddress) && request.public.unwrap_or(true);
        let id = match self.of_token(&request) {
            Some((id, address)) if address.requested_tags != request.tags => {
                let message = "the token belongs to an address that was asked for with other tags";
                return Err(CloudError::new(ErrorKind::Conflict, OPERATION, message).object(id.0));
            }
            Some((id, _)) => {
                if let Some(address) = self.state.addresses.get_mut(&id) {
                    address.change(now, |address| address.is_public = is_public);
                }
                id
            }
            None => {
                let ip = self.state.free_ip(settings, now, &request.fleet, fleet.block);
                let record = AddressRecord {
                    fleet: request.fleet,
                    token: request.token,
                    requested_tags: request.tags.clone(),
                    ip,
                    is_public,
                    tags: request.tags,
                };
                let id = AddressId(self.state.next_id("a"));
                self.state.addresses.insert(id.clone(), History::begin(now, record));
                id
            }
        };
        let view = View { state: self.state, settings, now, at: now };
        let record = self.state.addresses.get(&id).and_then(History::now);
        let address = record.map(|record| view.address(&id, record));
        address.ok_or_else(|| CloudError::new(ErrorKind::Other, OPERATION, "it has just been made"))
    }

    /// The address that was made for this token.
    fn of_token(&self, request: &AddressRequest) -> Option<(AddressId, Arc<AddressRecord>)> {
        let mut of_fleet = self.state.addresses_of(&request.fleet);
        let found = of_fleet.find(|(_, address)| address.token == request.token);
        found.map(|(id, address)| (id.clone(), Arc::clone(address)))
    }

    pub(crate) fn release_address(&mut self, fleet: &FleetKey, id: &AddressId) -> Result<()> {
        const OPERATION: &str = "ReleaseAddress";
        let is_there = self.state.addresses.get(id).and_then(History::now).is_some();
        if !is_there {
            return Ok(());
        }
        self.find_address(OPERATION, fleet, id)?;
        let now = self.now;
        if let Some(machine) = self.state.holder(self.settings, now, id) {
            let message = format!("machine {machine} has it");
            return Err(CloudError::new(ErrorKind::InUse, OPERATION, message).object(&id.0));
        }
        if let Some(address) = self.state.addresses.get_mut(id) {
            address.end(now);
        }
        self.state.forget(now);
        Ok(())
    }

    /// An address that the server knows.
    pub(crate) fn find_address(
        &self,
        operation: &'static str,
        fleet: &FleetKey,
        id: &AddressId,
    ) -> Result<Arc<AddressRecord>> {
        let history = self.state.addresses.get(id);
        let now = history.and_then(History::now).filter(|address| address.fleet == *fleet);
        self.found(operation, &id.0, now, self.known(history))
    }
}

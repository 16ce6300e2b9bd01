//! A change of what there is, made by one call: at this moment, as far as the server that takes it knows the
//! things that it names. Fleets and their tags are here; addresses, launches and machines have files of their own.

use crate::history::{History, Moment};
use crate::settings::Settings;
use crate::state::{FleetRecord, InstanceRecord, State};
use crate::view::{self, Unknown, View, unknown};
use cloud::{
    CloudError, ErrorKind, Feature, Fleet, FleetClaim, FleetKey, FleetRequest, Ingress, InstanceId,
    ObjectId, Opening, Phase, Result, SshAccess, SshKey, Tags, tag,
};
use std::sync::Arc;

/// What a call works on.
pub(crate) struct Change<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) settings: &'a Settings,
    pub(crate) now: Moment,
    /// Up to when the server knows what has happened.
    pub(crate) seen: Moment,
}

impl Change<'_> {
    pub(crate) fn create_fleet(&mut self, request: FleetRequest) -> Result<Fleet> {
        const OPERATION: &str = "CreateFleet";
        let Self { settings, now, .. } = *self;
        let (key, refused) = (request.key.clone(), |kind, message: &str| {
            CloudError::new(kind, OPERATION, message).object(request.key.to_string())
        });
        view::check_region(settings, OPERATION, &key.region)?;
        if let Some(subnet) = &request.subnet {
            view::check_subnet(settings, OPERATION, subnet)?;
        }
        let is_zone = |zone: &String| settings.zones.contains(zone);
        if !request.zone.as_ref().is_none_or(is_zone) {
            return Err(refused(ErrorKind::InvalidRequest, "there is no such zone"));
        }
        if let Some(existing) = self.state.fleets.get(&key).and_then(History::now) {
            let claim = FleetClaim {
                tags: &existing.tags,
                placement: existing.request.placement,
                subnet: existing.request.subnet.as_deref(),
            };
            if let Some(why) = claim.is_another(&request) {
                return Err(refused(ErrorKind::Conflict, why));
            }
            return Ok(view::fleet(&key, existing));
        }
        let living = self.state.fleets.values().filter_map(History::now);
        let blocks: Vec<u8> = living.map(|fleet| fleet.block).collect();
        let block = (0..=u8::MAX).find(|block| !blocks.contains(block));
        let block = block.ok_or_else(|| refused(ErrorKind::QuotaExceeded, "256 fleets are all"))?;
        let record = FleetRecord {
            block,
            tags: request.tags.clone(),
            request: Arc::new(request),
            ingress: Default::default(),
            ssh: None,
            altered: Default::default(),
        };
        let fleet = view::fleet(&key, &record);
        self.state.fleets.insert(key, History::begin(now, record));
        Ok(fleet)
    }

    pub(crate) fn repair_fleet(&mut self, key: &FleetKey) -> Result<Fleet> {
        let lasting = key.lasting_tags();
        let record = self.change_fleet("RepairFleet", key, |fleet| {
            fleet.tags.extend(lasting);
            fleet.altered.clear();
        })?;
        Ok(view::fleet(key, &record))
    }

    pub(crate) fn delete_fleet(&mut self, key: &FleetKey) -> Result<()> {
        if self.state.fleets.get(key).and_then(History::now).is_none() {
            return Ok(());
        }
        let Self { settings, now, .. } = *self;
        let addresses = self.state.addresses_of(key).map(|(id, _)| id.0.clone());
        let existing = self.state.existing(settings, now);
        let machines = existing.filter(|(_, machine)| machine.request.fleet == *key);
        let left: Vec<String> = addresses.chain(machines.map(|(id, _)| id.0.clone())).collect();
        if !left.is_empty() {
            let message = format!("it still has {}", left.join(", "));
            return Err(
                CloudError::new(ErrorKind::InUse, "DeleteFleet", message).object(key.to_string())
            );
        }
        if let Some(fleet) = self.state.fleets.get_mut(key) {
            fleet.end(now);
        }
        self.state.forget(now);
        Ok(())
    }

    pub(crate) fn set_ingress(
        &mut self,
        key: &FleetKey,
        service: String,
        opening: Option<Opening>,
    ) -> Result<()> {
        let is_there = self.state.fleets.get(key).and_then(History::now).is_some();
        if !is_there && opening.is_none() {
            return Ok(());
        }
        let changed = self.change_fleet("SetIngress", key, |fleet| match opening {
            None => {
                fleet.ingress.remove(&service);
            }
            Some(opening) => {
                fleet.ingress.insert(service.clone(), Ingress { service, opening });
            }
        });
        changed.map(drop)
    }

    pub(crate) fn set_ssh(&mut self, key: &FleetKey, access: Option<SshAccess>) -> Result<()> {
        const OPERATION: &str = "SetSsh";
        if let Some(access) = &access {
            let refused = |kind, message| Err(CloudError::new(kind, OPERATION, message));
            if !self.settings.has(Feature::SshKey) {
                return refused(ErrorKind::Unsupported, "there are no keys of people");
            }
            if let SshKey::Registered(name) = &access.key
                && !self.settings.ssh_keys.contains(name)
            {
                return refused(ErrorKind::InvalidRequest, "there is no such key");
            }
        }
        self.change_fleet(OPERATION, key, |fleet| fleet.ssh = access).map(drop)
    }

    /// All of them, or none.
    pub(crate) fn tag(&mut self, key: &FleetKey, objects: &[ObjectId], tags: &Tags) -> Result<()> {
        const OPERATION: &str = "Tag";
        self.find_fleet(OPERATION, key)?;
        for object in objects {
            match object {
                ObjectId::Fleet => {}
                ObjectId::Address(id) => drop(self.find_address(OPERATION, key, id)?),
                ObjectId::Instance(id) => drop(self.find_machine(OPERATION, key, id)?),
            }
        }
        let now = self.now;
        for object in objects {
            match object {
                ObjectId::Fleet => {
                    self.change_fleet(OPERATION, key, |fleet| fleet.tags.extend(tags.clone()))?;
                }
                ObjectId::Address(id) => {
                    if let Some(address) = self.state.addresses.get_mut(id) {
                        address.change(now, |address| address.tags.extend(tags.clone()));
                    }
                }
                ObjectId::Instance(id) => {
                    let is_draining = |tags: &Tags| Phase::of(tags) == Phase::Draining;
                    self.change_machine(id, |machine| {
                        machine.tags.extend(tags.clone());
                        let since = machine.guest.draining_since.unwrap_or(now);
                        let drains = tags.contains_key(tag::PHASE) || is_draining(&machine.tags);
                        if drains {
                            machine.guest.draining_since =
                                is_draining(&machine.tags).then_some(since);
                        }
                    });
                }
            }
        }
        Ok(())
    }

    /// Changes a fleet that the server knows.
    fn change_fleet(
        &mut self,
        operation: &'static str,
        key: &FleetKey,
        change: impl FnOnce(&mut FleetRecord),
    ) -> Result<Arc<FleetRecord>> {
        self.find_fleet(operation, key)?;
        let now = self.now;
        let history = self.state.fleets.get_mut(key);
        let changed = history.and_then(|history| {
            history.change(now, change);
            history.now().cloned()
        });
        changed.ok_or_else(|| unknown(operation, ErrorKind::NotFound, &key.name))
    }

    /// A fleet that the server knows.
    pub(crate) fn find_fleet(
        &self,
        operation: &'static str,
        key: &FleetKey,
    ) -> Result<Arc<FleetRecord>> {
        let history = self.state.fleets.get(key);
        let (now, seen) = (history.and_then(History::now), self.known(history));
        self.found(operation, &key.name, now, seen)
    }

    /// A machine that is there and that the server knows.
    pub(crate) fn find_machine(
        &self,
        operation: &'static str,
        key: &FleetKey,
        id: &InstanceId,
    ) -> Result<Arc<InstanceRecord>> {
        let Self { settings, now, seen, .. } = *self;
        let view = View { state: self.state, settings, now, at: seen };
        // A server that is behind knows it, and what is done to it is done to what it is now.
        let latest = self.state.instances.get(id).and_then(History::now);
        match (view.machine(key, id), latest) {
            (Ok(_), Some(latest)) if latest.exists(settings, now) => Ok(Arc::clone(latest)),
            (Err(Unknown::New), _) => Err(unknown(operation, ErrorKind::NotVisibleYet, &id.0)),
            _ => Err(unknown(operation, self.absent(), &id.0)),
        }
    }

    pub(crate) fn change_machine(
        &mut self,
        id: &InstanceId,
        change: impl FnOnce(&mut InstanceRecord),
    ) {
        if let Some(machine) = self.state.instances.get_mut(id) {
            machine.change(self.now, change);
        }
    }

    /// As the server knows it.
    pub(crate) fn known<'h, T>(&self, history: Option<&'h History<T>>) -> Option<&'h Arc<T>> {
        history.and_then(|history| history.at(self.seen))
    }

    /// What is there and known to the server.
    pub(crate) fn found<T>(
        &self,
        operation: &'static str,
        name: &str,
        now: Option<&Arc<T>>,
        seen: Option<&Arc<T>>,
    ) -> Result<Arc<T>> {
        match (now, seen) {
            (Some(now), Some(_)) => Ok(Arc::clone(now)),
            (Some(_), None) => Err(unknown(operation, ErrorKind::NotVisibleYet, name)),
            (None, _) => Err(unknown(operation, self.absent(), name)),
        }
    }

    /// Where a cloud lags behind, what is not there reads as what is too new.
    pub(crate) fn absent(&self) -> ErrorKind {
        match self.settings.is_eventual() {
            true => ErrorKind::NotVisibleYet,
            false => ErrorKind::NotFound,
        }
    }
}

//! Launches: checked, held to their tokens, all or none.

use crate::change::Change;
use crate::guest::{Guest, Identity};
use crate::history::History;
use crate::state::{Health, InstanceRecord, Launch, Power};
use crate::view::View;
use cloud::{
    CloudError, Egress, ErrorKind, Feature, Instance, InstanceId, LaunchRequest, Purchase, Result,
};
use std::sync::Arc;

impl Change<'_> {
    /// `request` is within the cloud's limits.
    pub(crate) fn launch(&mut self, request: &Arc<LaunchRequest>) -> Result<Vec<Instance>> {
        const OPERATION: &str = "Launch";
        self.check_launch(OPERATION, request)?;
        let token = request.token_of_offer();
        let refused =
            |kind, message: &str| CloudError::new(kind, OPERATION, message).object(token.clone());
        let mut launched = Vec::new();
        if let Some(launch) = self.state.launches.get(&token) {
            launched = self.living(&launch.instances);
            // Where a token lives as long as its machines, it means nothing when they are gone.
            let counts = self.settings.remembers_tokens || !launched.is_empty();
            if counts && *launch.request != **request {
                let message = "the token belongs to a launch with another request";
                return Err(refused(ErrorKind::Conflict, message));
            }
            if counts && launched.is_empty() {
                return Err(refused(ErrorKind::TokenSpent, "the token's machines are gone"));
            }
            if self.settings.remembers_tokens || launched.len() == request.count as usize {
                return Ok(self.described(&launched));
            }
        }
        let missing = request.count as usize - launched.len();
        self.check_room(OPERATION, request, missing)?;
        for _ in 0..missing {
            launched.push(self.make(request));
        }
        let launch = Launch { request: Arc::clone(request), instances: launched.clone() };
        self.state.launches.insert(token, launch);
        Ok(self.described(&launched))
    }

    /// Everything that refuses a launch but the lack of room.
    pub(crate) fn check_launch(
        &self,
        operation: &'static str,
        request: &LaunchRequest,
    ) -> Result<()> {
        self.find_fleet(operation, &request.fleet)?;
        let settings = self.settings;
        let refused = |kind, message: &str| {
            Err(CloudError::new(kind, operation, message).object(request.token.clone()))
        };
        let (unsupported, invalid) = (ErrorKind::Unsupported, ErrorKind::InvalidRequest);
        let name = &request.offer.instance_type;
        if !settings.types.is_empty() && !settings.types.contains(name) {
            return refused(unsupported, "there are no machines of this type");
        }
        match &request.identity {
            Some(_) if !settings.has(Feature::Identity) => {
                return refused(unsupported, "machines have no identities");
            }
            Some(name) if !settings.identities.contains(name) => {
                let kind = if settings.is_eventual() { self.absent() } else { invalid };
                return refused(kind, "there is no such identity");
            }
            _ => {}
        }
        match &request.image {
            Some(_) if !settings.has(Feature::Image) => {
                return refused(unsupported, "machines have no images");
            }
            Some(image) if !settings.images.contains(image) => {
                return refused(invalid, "there is no such image");
            }
            _ => {}
        }
        match &request.purchase {
            Purchase::Spot if !settings.has(Feature::Spot) => {
                return refused(unsupported, "there is no spot market");
            }
            Purchase::Reserved { .. } if !settings.has(Feature::Reservation) => {
                return refused(unsupported, "there are no reservations");
            }
            Purchase::Reserved { id, .. } if !settings.reservations.contains(id) => {
                return refused(invalid, "there is no such reservation");
            }
            _ => {}
        }
        if request.egress == Egress::PublicIp && !settings.has(Feature::PublicAddress) {
            return refused(unsupported, "machines have no public addresses");
        }
        Ok(())
    }

    fn check_room(
        &self,
        operation: &'static str,
        request: &LaunchRequest,
        count: usize,
    ) -> Result<()> {
        let Self { settings, now, .. } = *self;
        let name = &request.offer.instance_type;
        let refused =
            |kind, message: &str| Err(CloudError::new(kind, operation, message).object(name));
        if let Some(id) = &request.address {
            self.find_address(operation, &request.fleet, id)?;
            if self.state.holder(settings, now, id).is_some() {
                return refused(ErrorKind::InUse, "a machine has the address");
            }
        }
        let all = self.state.existing(settings, now).count();
        if self.state.quota.is_some_and(|most| all + count > most) {
            return refused(ErrorKind::QuotaExceeded, "the account may not have so many machines");
        }
        let existing = self.state.existing(settings, now);
        let alike = existing.filter(|(_, one)| one.request.offer.instance_type == *name).count();
        if self.state.capacity.get(name).is_some_and(|most| alike + count > *most) {
            return refused(ErrorKind::InsufficientCapacity, "there are not so many machines");
        }
        Ok(())
    }

    fn make(&mut self, request: &Arc<LaunchRequest>) -> InstanceId {
        let Self { settings, now, .. } = *self;
        let fleet = self.state.fleets.get(&request.fleet).and_then(History::now);
        let block = fleet.map_or(0, |fleet| fleet.block);
        let reserved = request.address.as_ref().and_then(|id| self.state.addresses.get(id)?.now());
        let ip = match reserved {
            Some(address) => address.ip,
            None => self.state.free_ip(settings, now, &request.fleet, block),
        };
        let id = InstanceId(self.state.next_id("i"));
        let course = self.state.courses.next(&request.tags);
        let identity = Arc::new(Identity::of(&request.document));
        let record = InstanceRecord {
            number: self.state.made,
            request: Arc::clone(request),
            ip,
            launched: now,
            power: Power::Started(now),
            health: Health::Good,
            tags: request.tags.clone(),
            altered: Vec::new(),
            is_public: false,
            why_ended: None,
            guest: Guest::new(identity, now + settings.starts, course),
        };
        self.state.instances.insert(id.clone(), History::begin(now, record));
        id
    }

    /// Those that are not gone.
    fn living(&self, ids: &[InstanceId]) -> Vec<InstanceId> {
        let exists = |id: &&InstanceId| {
            let record = self.state.instances.get(*id).and_then(History::now);
            record.is_some_and(|record| record.exists(self.settings, self.now))
        };
        ids.iter().filter(exists).cloned().collect()
    }

    fn described(&self, ids: &[InstanceId]) -> Vec<Instance> {
        let Self { settings, now, .. } = *self;
        let view = View { state: self.state, settings, now, at: now };
        let found = ids.iter().filter_map(|id| {
            let record = self.state.instances.get(id)?.now()?;
            Some(view.instance(id, record.state(settings, now)?, record))
        });
        found.collect()
    }
}

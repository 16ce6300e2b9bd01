//! What one of the cloud's servers knows, which may be behind: the answers to all that reads.

use crate::history::Moment;
use crate::settings::Settings;
use crate::state::{AddressRecord, FleetRecord, InstanceRecord, Power, State};
use cloud::{
    Address, AddressId, Egress, ErrorKind, Finding, Fleet, FleetKey, Ingress, Instance, InstanceId,
    InstanceState, LabelFilter, Result, Site, SiteFilter,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// What there is, as a server knows it.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) state: &'a State,
    pub(crate) settings: &'a Settings,
    /// What time it really is.
    pub(crate) now: Moment,
    /// Up to when the server knows what has happened.
    pub(crate) at: Moment,
}

/// Of a machine that a server cannot tell of.
pub(crate) enum Unknown {
    /// It is not there.
    Absent,
    /// It is, and the server does not know yet.
    New,
}

impl<'a> View<'a> {
    pub(crate) fn find_sites(&self, region: &str, filter: &SiteFilter) -> Result<Vec<Site>> {
        const OPERATION: &str = "FindSites";
        check_region(self.settings, OPERATION, region)?;
        let Settings { zones, subnets, types, .. } = self.settings;
        let is_offered = |name: &String| types.is_empty() || types.contains(name);
        let has_types = filter.instance_types.iter().all(is_offered);
        let is_meant = |zone: &String| filter.zone.as_ref().is_none_or(|meant| meant == zone);
        let Some(subnet) = &filter.subnet else {
            let all = zones.iter().filter(|zone| has_types && is_meant(zone));
            return Ok(all.map(|zone| Site { zone: Some(zone.clone()), subnet: None }).collect());
        };
        check_subnet(self.settings, OPERATION, subnet)?;
        let zone = subnets.get(subnet).filter(|zone| has_types && is_meant(zone));
        let site = |zone: &String| Site { zone: Some(zone.clone()), subnet: Some(subnet.clone()) };
        Ok(zone.map(site).into_iter().collect())
    }

    pub(crate) fn fleet(&self, key: &FleetKey) -> Option<Fleet> {
        let record = self.state.fleets.get(key)?.at(self.at)?;
        Some(fleet(key, record))
    }

    pub(crate) fn fleets(&self, region: &str) -> Vec<FleetKey> {
        let all = self.state.fleets.iter().filter(|(key, _)| key.region == region);
        all.filter(|(_, history)| history.at(self.at).is_some())
            .map(|(key, _)| key.clone())
            .collect()
    }

    pub(crate) fn addresses(&self, fleet: &FleetKey, filter: &LabelFilter) -> Vec<Address> {
        let all = self.state.addresses.iter();
        let known = all.filter_map(|(id, history)| Some((id, history.at(self.at)?)));
        let meant = known
            .filter(|(_, record)| record.fleet == *fleet && filter.matches(&record.tags))
            .map(|(id, record)| self.address(id, record));
        meant.collect()
    }

    pub(crate) fn address(&self, id: &AddressId, record: &AddressRecord) -> Address {
        let is_holder =
            |record: &InstanceRecord| record.request.address.as_ref().is_some_and(|at| at == id);
        let holder = self.known().find(|(_, _, record)| is_holder(record));
        Address {
            id: id.clone(),
            ip: record.ip,
            public_ip: record.is_public.then(|| public(record.ip)),
            instance: holder.map(|(id, _, _)| id.clone()),
            tags: record.tags.clone(),
        }
    }

    pub(crate) fn instances(&self, fleet: &FleetKey, filter: &LabelFilter) -> Vec<Instance> {
        let known = self.known().filter(|(_, _, record)| record.request.fleet == *fleet);
        let meant = known.filter(|(_, _, record)| filter.matches(&record.tags));
        meant.map(|(id, state, record)| self.instance(id, state, record)).collect()
    }

    pub(crate) fn find(&self, fleet: &FleetKey, ids: &[InstanceId]) -> Vec<Instance> {
        let known = self.known().filter(|(_, _, record)| record.request.fleet == *fleet);
        let meant = known.filter(|(id, _, _)| ids.contains(id));
        meant.map(|(id, state, record)| self.instance(id, state, record)).collect()
    }

    /// A machine, if it is there and the server knows it.
    pub(crate) fn machine(
        &self,
        fleet: &FleetKey,
        id: &InstanceId,
    ) -> Result<&'a Arc<InstanceRecord>, Unknown> {
        let is_there = |at| {
            let record = self.state.instances.get(id)?.at(at)?;
            let is_it = record.request.fleet == *fleet && record.exists(self.settings, at);
            is_it.then_some(record)
        };
        match (is_there(self.at), is_there(self.now)) {
            (Some(record), _) => Ok(record),
            (None, Some(_)) => Err(Unknown::New),
            (None, None) => Err(Unknown::Absent),
        }
    }

    /// The same for a call that has something to answer of what is not there; none is that.
    pub(crate) fn known_machine(
        &self,
        operation: &'static str,
        fleet: &FleetKey,
        id: &InstanceId,
    ) -> Result<Option<&'a Arc<InstanceRecord>>> {
        match self.machine(fleet, id) {
            Ok(record) => Ok(Some(record)),
            Err(Unknown::Absent) => Ok(None),
            Err(Unknown::New) => Err(unknown(operation, ErrorKind::NotVisibleYet, &id.0)),
        }
    }

    pub(crate) fn why_ended(&self, ids: &[InstanceId]) -> BTreeMap<InstanceId, String> {
        let told = ids.iter().filter(|_| self.settings.tells_why).filter_map(|id| {
            let record = self.state.instances.get(id)?.at(self.at)?;
            let is_gone = !record.exists(self.settings, self.at);
            Some((id.clone(), record.why_ended.clone().filter(|_| is_gone)?))
        });
        told.collect()
    }

    /// The machines that the server knows and that are not gone, with their states.
    fn known(
        &self,
    ) -> impl Iterator<Item = (&'a InstanceId, InstanceState, &'a Arc<InstanceRecord>)> {
        let Self { state, settings, at, .. } = *self;
        state.instances.iter().filter_map(move |(id, history)| {
            let record = history.at(at)?;
            Some((id, record.state(settings, at)?, record))
        })
    }

    pub(crate) fn instance(
        &self,
        id: &InstanceId,
        state: InstanceState,
        record: &InstanceRecord,
    ) -> Instance {
        let mut findings = record.altered.clone();
        let wants_public = record.request.egress == Egress::PublicIp && !record.is_public;
        if wants_public && state == InstanceState::Running {
            let text = "it has no public address, and no way to the internet".to_owned();
            findings.push(Finding { text, repairable: true });
        }
        if matches!(record.power, Power::Terminated(_)) {
            findings.clear();
        }
        let newest = self.settings.images.last();
        let has_images = self.settings.has(cloud::Feature::Image);
        Instance {
            id: id.clone(),
            state,
            ip: Some(record.ip),
            instance_type: record.request.offer.instance_type.clone(),
            image: record.request.image.as_ref().or(newest).filter(|_| has_images).cloned(),
            launched_at: BEGIN + record.launched.as_secs(),
            tags: record.tags.clone(),
            findings,
        }
    }
}

/// The cloud begins with the year 2026.
pub(crate) const BEGIN: u64 = 1_767_225_600;

pub(crate) fn fleet(key: &FleetKey, record: &FleetRecord) -> Fleet {
    let mut findings = key.tag_findings(&record.tags);
    findings.extend(record.altered.clone());
    let ingress: Vec<Ingress> = record.ingress.values().cloned().collect();
    Fleet {
        key: key.clone(),
        zone: record.request.zone.clone(),
        subnet: record.request.subnet.clone(),
        placement: record.request.placement,
        tags: record.tags.clone(),
        ingress,
        ssh: record.ssh.clone(),
        findings,
    }
}

pub(crate) fn check_region(
    settings: &Settings,
    operation: &'static str,
    region: &str,
) -> Result<()> {
    if region == settings.region {
        return Ok(());
    }
    let message = format!("the one region is `{}`", settings.region);
    Err(cloud::CloudError::new(ErrorKind::InvalidRequest, operation, message).object(region))
}

pub(crate) fn check_subnet(
    settings: &Settings,
    operation: &'static str,
    subnet: &str,
) -> Result<()> {
    let (kind, message) = if !settings.has(cloud::Feature::Subnet) {
        (ErrorKind::Unsupported, "there are no subnets")
    } else if settings.subnets.contains_key(subnet) {
        return Ok(());
    } else {
        (ErrorKind::InvalidRequest, "there is no such subnet")
    };
    Err(cloud::CloudError::new(kind, operation, message).object(subnet))
}

pub(crate) fn unknown(operation: &'static str, kind: ErrorKind, object: &str) -> cloud::CloudError {
    cloud::CloudError::new(kind, operation, "there is nothing of this name").object(object)
}

/// By which a machine of the fleet is reached from outside.
fn public(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let [_, block, high, low] = ip.octets();
            IpAddr::from([100, block, high, low])
        }
        IpAddr::V6(_) => ip,
    }
}

//! Everything that there is, as records. What follows from a record by the time alone (whether a machine runs
//! by now, whether it is gone) is told here; what those see who ask is `view.rs`.

use crate::guest::{Courses, Guest};
use crate::history::{History, Moment};
use crate::settings::Settings;
use cloud::{
    AddressId, Finding, FleetKey, FleetRequest, Ingress, InstanceId, InstanceState, LaunchRequest,
    SshAccess, Tags,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// All of it. Cheap to clone: what is alike is shared.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) fleets: BTreeMap<FleetKey, History<FleetRecord>>,
    pub(crate) addresses: BTreeMap<AddressId, History<AddressRecord>>,
    pub(crate) instances: BTreeMap<InstanceId, History<InstanceRecord>>,
    /// What each token was for.
    pub(crate) launches: BTreeMap<String, Launch>,
    /// How many machines of a type there are at most.
    pub(crate) capacity: BTreeMap<String, usize>,
    /// How many machines the account may have.
    pub(crate) quota: Option<usize>,
    /// Engines that were taken out of their router, by the id of their registration.
    pub(crate) taken_out: BTreeMap<u64, TakenOut>,
    /// Machines that were terminated while they worked at requests.
    pub(crate) interrupted: Vec<InstanceId>,
    /// Whether whoever runs the tests has no way to any machine.
    pub(crate) is_cut_off: bool,
    /// What boots come to that are not the usual ones.
    pub(crate) courses: Courses,
    /// How many objects were ever made.
    pub(crate) made: u32,
    /// How many calls were ever answered.
    pub(crate) calls: u64,
}

/// Since when an engine's keys are gone from its router's etcd.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TakenOut {
    pub(crate) card: Option<Moment>,
    pub(crate) instance: Option<Moment>,
}

/// A launch, by its token.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) request: Arc<LaunchRequest>,
    pub(crate) instances: Vec<InstanceId>,
}

#[derive(Clone, Debug)]
pub(crate) struct FleetRecord {
    /// As it was asked for.
    pub(crate) request: Arc<FleetRequest>,
    /// Its block: `10.BLOCK.0.0`.
    pub(crate) block: u8,
    pub(crate) tags: Tags,
    pub(crate) ingress: BTreeMap<String, Ingress>,
    pub(crate) ssh: Option<SshAccess>,
    /// What somebody has changed that can be put back.
    pub(crate) altered: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub(crate) struct AddressRecord {
    pub(crate) fleet: FleetKey,
    pub(crate) token: String,
    pub(crate) requested_tags: Tags,
    pub(crate) ip: IpAddr,
    pub(crate) is_public: bool,
    pub(crate) tags: Tags,
}

#[derive(Clone, Debug)]
pub(crate) struct InstanceRecord {
    /// The how manieth object it is that was ever made.
    pub(crate) number: u32,
    pub(crate) request: Arc<LaunchRequest>,
    pub(crate) ip: IpAddr,
    pub(crate) launched: Moment,
    pub(crate) power: Power,
    /// What the cloud finds about it while it runs.
    pub(crate) health: Health,
    pub(crate) tags: Tags,
    /// What somebody has changed about it.
    pub(crate) altered: Vec<Finding>,
    /// Whether it has a public address of its own.
    pub(crate) is_public: bool,
    pub(crate) why_ended: Option<String>,
    pub(crate) guest: Guest,
}

/// What was done to a machine last, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Power {
    Started(Moment),
    Stopped(Moment),
    Terminated(Moment),
    /// Gone, all at once.
    Lost(Moment),
}

/// What the cloud finds about a machine that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Good,
    /// Its checks fail, and nothing on it works.
    Impaired,
    /// It cannot be seen, and works.
    Unseen,
}

impl InstanceRecord {
    /// Its state at this moment; none when it is gone.
    pub(crate) fn state(&self, settings: &Settings, at: Moment) -> Option<InstanceState> {
        use InstanceState::{
            Impaired, Pending, Running, Stopped, Stopping, Terminating, Unreachable,
        };
        let has_passed = |since: Moment, time| at >= since + time;
        match self.power {
            Power::Started(since) if !has_passed(since, settings.starts) => Some(Pending),
            Power::Started(_) => Some(match self.health {
                Health::Good => Running,
                Health::Impaired => Impaired,
                Health::Unseen => Unreachable,
            }),
            Power::Stopped(since) if !has_passed(since, settings.stops) => Some(Stopping),
            Power::Stopped(_) => Some(Stopped),
            Power::Terminated(since) if !has_passed(since, settings.stops) => Some(Terminating),
            Power::Terminated(_) => None,
            Power::Lost(since) => (at < since).then_some(Running),
        }
    }

    /// Whether its programs are at work at this moment.
    pub(crate) fn works(&self, settings: &Settings, at: Moment) -> bool {
        let state = self.state(settings, at);
        matches!(state, Some(InstanceState::Running | InstanceState::Unreachable))
    }

    /// Whether somebody pays for it.
    pub(crate) fn exists(&self, settings: &Settings, at: Moment) -> bool {
        self.state(settings, at).is_some()
    }
}

impl State {
    /// The next id of this kind. Ids sort as they were made.
    pub(crate) fn next_id(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}-{:08}", self.made)
    }

    /// The machines that there are now, whoever knows of them.
    pub(crate) fn existing<'a>(
        &'a self,
        settings: &'a Settings,
        now: Moment,
    ) -> impl Iterator<Item = (&'a InstanceId, &'a Arc<InstanceRecord>)> {
        let all = self.instances.iter().filter_map(|(id, history)| Some((id, history.now()?)));
        all.filter(move |(_, record)| record.exists(settings, now))
    }

    /// The reserved addresses of a fleet that there are now.
    pub(crate) fn addresses_of<'a>(
        &'a self,
        fleet: &'a FleetKey,
    ) -> impl Iterator<Item = (&'a AddressId, &'a Arc<AddressRecord>)> {
        let all = self.addresses.iter().filter_map(|(id, history)| Some((id, history.now()?)));
        all.filter(move |(_, record)| record.fleet == *fleet)
    }

    /// The machine that has a reserved address, also one that is on its way out.
    pub(crate) fn holder<'a>(
        &'a self,
        settings: &'a Settings,
        now: Moment,
        address: &AddressId,
    ) -> Option<&'a InstanceId> {
        let mut existing = self.existing(settings, now);
        let is_it = |record: &InstanceRecord| {
            record.request.address.as_ref().is_some_and(|at| at == address)
        };
        existing.find(|(_, record)| is_it(record)).map(|(id, _)| id)
    }

    /// The lowest address of the fleet that nothing has. One that was a machine's is soon another's: whoever
    /// takes the one for the other shall be found out.
    pub(crate) fn free_ip(
        &self,
        settings: &Settings,
        now: Moment,
        fleet: &FleetKey,
        block: u8,
    ) -> IpAddr {
        let reserved = self.addresses_of(fleet).map(|(_, address)| address.ip);
        let machines = self.existing(settings, now).map(|(_, machine)| machine.ip);
        let used: BTreeSet<IpAddr> = reserved.chain(machines).collect();
        let all = (10..=u16::MAX).map(|host| {
            let [high, low] = host.to_be_bytes();
            IpAddr::from([10, block, high, low])
        });
        all.into_iter().find(|ip| !used.contains(ip)).expect("a fleet has 65,000 addresses")
    }

    /// Lets go of what nobody can see any more.
    pub(crate) fn forget(&mut self, now: Moment) {
        self.fleets.retain(|_, history| !history.is_forgotten(now));
        self.addresses.retain(|_, history| !history.is_forgotten(now));
    }
}

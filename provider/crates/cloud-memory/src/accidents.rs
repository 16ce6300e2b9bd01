//! What happens to machines and fleets by itself, or by somebody else's hands; and what there is, whoever can
//! see it by now.

use crate::Memory;
use crate::guest::{Course, Identity, Work};
use crate::history::{History, Moment};
use crate::state::{Health, InstanceRecord, Power};
use crate::view::View;
use cloud::{
    Address, Finding, FleetKey, Instance, InstanceId, InstanceState, LabelFilter, ObjectId, Tags,
};
use std::time::Duration;

impl Memory {
    /// The next boots of machines with these labels come to this, one after the other; those after them are as
    /// usual.
    pub fn boots(&self, machines: LabelFilter, courses: impl IntoIterator<Item = Course>) {
        self.state().courses.add(machines, courses.into_iter().collect());
    }

    /// Powers a machine off.
    pub fn stop(&self, id: &InstanceId) {
        self.happens(id, |machine, now| {
            machine.power = Power::Stopped(now);
            machine.guest.end_boot(now);
        });
    }

    /// Nothing on a machine works any more, and the cloud says so.
    pub fn impair(&self, id: &InstanceId) {
        self.happens(id, |machine, _| machine.health = Health::Impaired);
    }

    /// The cloud loses sight of a machine, which works.
    pub fn lose_sight(&self, id: &InstanceId) {
        self.happens(id, |machine, _| machine.health = Health::Unseen);
    }

    /// A machine is gone.
    pub fn lose(&self, id: &InstanceId) {
        self.happens(id, |machine, now| {
            machine.power = Power::Lost(now);
            machine.guest.end_boot(now);
            machine.why_ended = Some("its host has failed".to_owned());
        });
    }

    /// Something about a machine is changed.
    pub fn alter(&self, id: &InstanceId, finding: Finding) {
        self.happens(id, |machine, _| machine.altered.push(finding));
    }

    /// Something about a fleet is changed that can be put back.
    pub fn alter_fleet(&self, key: &FleetKey, object: &str, finding: &str) {
        let now = self.moment();
        if let Some(fleet) = self.state().fleets.get_mut(key) {
            fleet.change(now, |fleet| {
                fleet.altered.insert(object.to_owned(), finding.to_owned());
            });
        }
    }

    /// Somebody changes an object's tags.
    pub fn retag(&self, fleet: &FleetKey, object: &ObjectId, change: impl FnOnce(&mut Tags)) {
        let (now, mut state) = (self.moment(), self.state());
        match object {
            ObjectId::Fleet => {
                if let Some(fleet) = state.fleets.get_mut(fleet) {
                    fleet.change(now, |fleet| change(&mut fleet.tags));
                }
            }
            ObjectId::Address(id) => {
                if let Some(address) = state.addresses.get_mut(id) {
                    address.change(now, |address| change(&mut address.tags));
                }
            }
            ObjectId::Instance(id) => {
                if let Some(machine) = state.instances.get_mut(id) {
                    machine.change(now, |machine| change(&mut machine.tags));
                }
            }
        }
    }

    /// There are no more than so many machines of this type; none lifts that.
    pub fn limit(&self, instance_type: &str, machines: Option<usize>) {
        let capacity = &mut self.state().capacity;
        match machines {
            Some(most) => drop(capacity.insert(instance_type.to_owned(), most)),
            None => drop(capacity.remove(instance_type)),
        }
    }

    /// The account may have no more than so many machines; none lifts that.
    pub fn set_quota(&self, machines: Option<usize>) {
        self.state().quota = machines;
    }

    /// Whether there is a way from outside to any machine.
    pub fn cut_off(&self, is_cut_off: bool) {
        self.state().is_cut_off = is_cut_off;
    }

    /// Each engine of a worker works at so many requests, for so long.
    pub fn work(&self, id: &InstanceId, requests: u32, time: Duration) {
        self.happens(id, |machine, now| {
            machine.guest.work = Some(Work { requests, until: now + time });
        });
    }

    /// Every machine that there is and is not on its way out, of all fleets.
    pub fn machines(&self) -> Vec<Instance> {
        let (now, state) = (self.moment(), self.state());
        let settings = self.settings();
        let view = View { state: &state, settings, now, at: now };
        let all = state.existing(settings, now).filter_map(|(id, record)| {
            Some(view.instance(id, record.state(settings, now)?, record))
        });
        all.filter(|machine| machine.state != InstanceState::Terminating).collect()
    }

    /// Every reserved address that there is.
    pub fn addresses(&self) -> Vec<Address> {
        let (now, state) = (self.moment(), self.state());
        let view = View { state: &state, settings: self.settings(), now, at: now };
        let all = state.addresses.iter();
        all.filter_map(|(id, history)| Some(view.address(id, history.now()?))).collect()
    }

    /// The names of everything that there is: fleets, rules, addresses and machines.
    pub fn left(&self) -> Vec<String> {
        let (now, state) = (self.moment(), self.state());
        let fleets = state.fleets.iter().filter_map(|(key, history)| Some((key, history.now()?)));
        let fleets = fleets.flat_map(|(key, fleet)| {
            let rules = fleet.ingress.keys().map(move |service| format!("rule {key}/{service}"));
            std::iter::once(format!("fleet {key}")).chain(rules)
        });
        let addresses = state.addresses.iter().filter(|(_, history)| history.now().is_some());
        let addresses = addresses.map(|(id, _)| format!("address {id}"));
        let machines = state.existing(self.settings(), now).map(|(id, _)| format!("machine {id}"));
        fleets.chain(addresses).chain(machines).collect()
    }

    /// How many machines were ever launched.
    pub fn count_launched(&self) -> usize {
        self.state().instances.len()
    }

    /// Machines that were terminated while they worked at requests.
    pub fn interrupted(&self) -> Vec<InstanceId> {
        self.state().interrupted.clone()
    }

    /// The machines that are routers, and not on their way out.
    pub fn routers(&self) -> Vec<Instance> {
        let mut machines = self.machines();
        let state = self.state();
        machines.retain(|machine| {
            let record = state.instances.get(&machine.id).and_then(History::now);
            record.is_some_and(|record| matches!(*record.guest.identity, Identity::Router { .. }))
        });
        machines
    }

    fn happens(&self, id: &InstanceId, change: impl FnOnce(&mut InstanceRecord, Moment)) {
        let now = self.moment();
        if let Some(machine) = self.state().instances.get_mut(id) {
            machine.change(now, |machine| change(machine, now));
        }
    }
}

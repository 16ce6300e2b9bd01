//! The machines of a simulated EC2 as hosts: what the model says of them is made true, one change after
//! the other, by a thread of its own, as a datacentre's own staff would.
//!
//! It knows nothing of the API. A terminated machine loses its power at once, which is harsher than EC2.

use crate::datacentre::Datacentre;
use crate::image::Image;
use crate::rules;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use cloudsim::datacentre::{Guest, Running, Site, SiteMachine};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The software and the hardware of all machines.
#[derive(Debug)]
pub struct Hosts {
    datacentre: Arc<Datacentre>,
    orders: Sender<Site>,
    last: Site,
    on: Arc<Mutex<BTreeSet<String>>>,
}

impl Hosts {
    /// Machines that boot from this image, in this datacentre.
    pub fn new(datacentre: Arc<Datacentre>, image: Image) -> Self {
        let (orders, received) = mpsc::channel();
        let on = Arc::default();
        let staff = Staff {
            datacentre: Arc::clone(&datacentre),
            image,
            on: Arc::clone(&on),
            done: BTreeMap::new(),
            gateway: String::new(),
        };
        std::thread::spawn(move || staff.work(&received));
        Self { datacentre, orders, last: Site::default(), on }
    }
}

impl Guest for Hosts {
    fn console(&self, machine: &Running, _all: &[Running]) -> String {
        self.datacentre.console(&name_of(&machine.id))
    }

    fn follow(&mut self, site: &Site) {
        if self.last != *site {
            self.last = site.clone();
            // It has panicked, and said why: no call is answered any more.
            self.orders.send(site.clone()).expect("the staff is at work");
        }
    }

    fn is_up(&self, id: &str) -> Option<bool> {
        Some(lock(&self.on).contains(id))
    }
}

/// The name of a machine's host: an id is longer than a network link's name may be.
pub fn name_of(id: &str) -> String {
    format!("i-{}", id.trim_start_matches("i-").trim_start_matches('0'))
}

/// What has been done for a machine.
#[derive(Debug)]
struct Done {
    machine: SiteMachine,
    is_on: bool,
}

struct Staff {
    datacentre: Arc<Datacentre>,
    image: Image,
    on: Arc<Mutex<BTreeSet<String>>>,
    done: BTreeMap<String, Done>,
    gateway: String,
}

impl Staff {
    fn work(mut self, orders: &Receiver<Site>) {
        while let Ok(mut site) = orders.recv() {
            // Only how things are to be now counts.
            while let Ok(newer) = orders.try_recv() {
                site = newer;
            }
            self.carry_out(&site);
        }
    }

    /// Removals first: a new machine may have the address of an old one.
    fn carry_out(&mut self, site: &Site) {
        let wanted: BTreeMap<&str, &SiteMachine> =
            site.machines.iter().map(|machine| (machine.id.as_str(), machine)).collect();
        let known: Vec<String> = self.done.keys().cloned().collect();
        for id in known.iter().filter(|id| !wanted.contains_key(id.as_str())) {
            self.datacentre.do_it(&["remove", &name_of(id)]);
            self.done.remove(id);
            lock(&self.on).remove(id);
        }
        for machine in &site.machines {
            self.prepare(machine);
        }
        let gateway = rules::of_gateway(site);
        if gateway != self.gateway {
            self.datacentre.do_with(&["rules", "gateway"], gateway.as_bytes());
            self.gateway = gateway;
        }
        std::thread::scope(|scope| {
            for (id, done) in &mut self.done {
                let (datacentre, on, machine) = (&*self.datacentre, &*self.on, wanted[id.as_str()]);
                scope.spawn(move || power(datacentre, on, machine, done));
            }
        });
    }

    /// A host for each machine, with its network and its metadata as they are now.
    fn prepare(&mut self, machine: &SiteMachine) {
        let name = name_of(&machine.id);
        let before = self.done.get(&machine.id).map(|done| &done.machine);
        if before.is_none() {
            let user_data = BASE64_STANDARD.decode(&machine.user_data).expect("it is base64");
            self.datacentre.create(&name, machine.ip.into(), self.image, &user_data);
        }
        let describe = |machine: &SiteMachine| {
            serde_json::json!({
                "id": machine.id,
                "image": machine.image,
                "profile": machine.identity,
                "tags": machine.metadata_tags,
                "type": machine.instance_type,
                "wants_token": machine.wants_token,
                "zone": machine.zone,
            })
            .to_string()
        };
        if before.map(describe) != Some(describe(machine)) {
            self.datacentre.do_with(&["describe", &name], describe(machine).as_bytes());
        }
        let filter = rules::of_machine(machine);
        if before.map(rules::of_machine).as_ref() != Some(&filter) {
            self.datacentre.do_with(&["rules", &name], filter.as_bytes());
        }
        if before.is_none() {
            let done = Done { machine: machine.clone(), is_on: false };
            self.done.insert(machine.id.clone(), done);
        }
    }
}

/// Switches a machine on or off, or reboots it, if that is what changes.
fn power(
    datacentre: &Datacentre,
    on: &Mutex<BTreeSet<String>>,
    machine: &SiteMachine,
    done: &mut Done,
) {
    let name = name_of(&machine.id);
    let is_reboot = done.machine.boot != machine.boot && machine.is_on && done.is_on;
    if done.is_on && (is_reboot || !machine.is_on) {
        datacentre.do_it(&["run", &name, "systemctl", "poweroff"]);
        datacentre.do_it(&["wait-off", &name]);
        done.is_on = false;
    }
    if machine.is_on && !done.is_on {
        datacentre.do_it(&["start", &name]);
        done.is_on = true;
    }
    done.machine = machine.clone();
    match done.is_on {
        true => lock(on).insert(machine.id.clone()),
        false => lock(on).remove(&machine.id),
    };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Machines that exist: started, rebooted, put back, terminated.

use crate::change::Change;
use crate::guest::Boot;
use crate::history::History;
use crate::state::{Health, InstanceRecord, Power};
use cloud::{CloudError, Egress, ErrorKind, FleetKey, InstanceId, InstanceState, Result};

impl Change<'_> {
    pub(crate) fn start(&mut self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        const OPERATION: &str = "Start";
        let machine = self.find_machine(OPERATION, fleet, id)?;
        match machine.state(self.settings, self.now) {
            Some(InstanceState::Stopped) => {
                self.boot(id, &machine);
                Ok(())
            }
            Some(InstanceState::Stopping) => {
                let message = "it is still stopping";
                Err(CloudError::new(ErrorKind::Unavailable, OPERATION, message).object(&id.0))
            }
            Some(state) if state.is_up() => Ok(()),
            _ => Err(CloudError::new(self.absent(), OPERATION, "it is going").object(&id.0)),
        }
    }

    pub(crate) fn reboot(&mut self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        const OPERATION: &str = "Reboot";
        let machine = self.find_machine(OPERATION, fleet, id)?;
        match machine.state(self.settings, self.now) {
            // It boots all the same.
            Some(InstanceState::Pending) => Ok(()),
            Some(state) if state.is_up() => {
                self.boot(id, &machine);
                // It runs all the time, as far as the cloud tells.
                let (now, starts) = (self.now, self.settings.starts);
                self.change_machine(id, |machine| {
                    machine.power = Power::Started(now.saturating_sub(starts));
                });
                Ok(())
            }
            state => {
                let message = format!("it is {state:?}");
                Err(CloudError::new(ErrorKind::InvalidRequest, OPERATION, message).object(&id.0))
            }
        }
    }

    pub(crate) fn repair(&mut self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        let machine = self.find_machine("Repair", fleet, id)?;
        let runs = machine.state(self.settings, self.now) == Some(InstanceState::Running);
        let wants_public = runs && machine.request.egress == Egress::PublicIp;
        self.change_machine(id, |machine| {
            machine.altered.retain(|finding| !finding.repairable);
            machine.is_public |= wants_public;
        });
        Ok(())
    }

    pub(crate) fn terminate(&mut self, fleet: &FleetKey, ids: &[InstanceId]) -> Result<()> {
        const OPERATION: &str = "Terminate";
        let mut found = Vec::new();
        for id in ids {
            match self.find_machine(OPERATION, fleet, id) {
                Ok(_) => found.push(id),
                Err(error) => {
                    let is_there = self.state.existing(self.settings, self.now);
                    if is_there.into_iter().any(|(one, _)| one == id) {
                        return Err(error);
                    }
                }
            }
        }
        let now = self.now;
        for id in found {
            let machine = self.state.instances.get(id).and_then(History::now);
            if machine.is_some_and(|machine| machine.guest.requests(now) > 0) {
                self.state.interrupted.push(id.clone());
            }
            self.change_machine(id, |machine| {
                if !matches!(machine.power, Power::Terminated(_)) {
                    machine.power = Power::Terminated(now);
                    machine.guest.end_boot(now);
                    machine.why_ended.get_or_insert("it was terminated by a call".to_owned());
                }
            });
        }
        Ok(())
    }

    fn boot(&mut self, id: &InstanceId, machine: &InstanceRecord) {
        let now = self.now;
        let course = self.state.courses.next(&machine.tags);
        let boot = Boot { at: now + self.settings.starts, ends: None, course };
        self.change_machine(id, |machine| {
            machine.power = Power::Started(now);
            machine.health = Health::Good;
            machine.guest.end_boot(now);
            machine.guest.boots.push(boot);
        });
    }
}

//! What happens to machines in real life, on demand: somebody stops one, one is lost, a cable is
//! cut. For tests, and for people who want to see what Terraform makes of it.

use crate::LocalCloud;
use crate::cleanup;
use crate::error::{During, StateError, absent, invalid};
use crate::machine_record::MachineRecord;
use crate::records;
use cloud::InstanceId;
use machine::files;
use machine::processes;
use machine::{Desired, MachineDirectory};
use rustix::process::Signal;
use std::{fs, io, path::PathBuf, time::Duration};

impl LocalCloud {
    /// Powers a machine off: its units get SIGTERM, its disk and its address are kept.
    ///
    /// # Errors
    /// When there is no such machine.
    pub async fn stop(&self, id: &InstanceId) -> cloud::Result<()> {
        const OPERATION: &str = "StopMachine";
        let change = self.store.change().await.during(OPERATION)?;
        let (machine, mut record) = self.machine(OPERATION, id)?;
        if record.config.desired == Desired::Up {
            record.config.desired = Desired::Stopped;
            records::save_machine(&machine, &change, &record).during(OPERATION)?;
        }
        cleanup::signal(&machine, Signal::TERM).during(OPERATION)
    }

    /// Makes a machine disappear at once, with its disk, as when its host burns down.
    ///
    /// # Errors
    /// When there is no such machine.
    pub async fn lose(&self, id: &InstanceId) -> cloud::Result<()> {
        const OPERATION: &str = "LoseMachine";
        let change = self.store.change().await.during(OPERATION)?;
        let (machine, mut record) = self.machine(OPERATION, id)?;
        record.config.desired = Desired::Terminated;
        records::save_machine(&machine, &change, &record).during(OPERATION)?;
        cleanup::signal(&machine, Signal::KILL).during(OPERATION)?;
        cleanup::remove(self, &machine, &change).await.during(OPERATION)
    }

    /// Cuts a machine off from the network. Simulated by SIGSTOP to every process of its units:
    /// connections stay open and nobody answers, as behind a cut cable.
    ///
    /// # Errors
    /// When there is no such machine.
    pub async fn cut(&self, id: &InstanceId) -> cloud::Result<()> {
        const OPERATION: &str = "CutMachine";
        let _change = self.store.change().await.during(OPERATION)?;
        let (machine, _) = self.machine(OPERATION, id)?;
        // The marker first: from then on its supervisor starts nothing.
        fs::write(machine.cut(), "")
            .map_err(StateError::io("write", &machine.cut()))
            .during(OPERATION)?;
        stop_members(&machine)
            .await
            .map_err(StateError::io("stop the processes of", machine.path()))
            .during(OPERATION)
    }

    /// Mends what [`LocalCloud::cut`] cut.
    ///
    /// # Errors
    /// When there is no such machine, or it is not cut.
    pub async fn heal(&self, id: &InstanceId) -> cloud::Result<()> {
        const OPERATION: &str = "HealMachine";
        let _change = self.store.change().await.during(OPERATION)?;
        let (machine, _) = self.machine(OPERATION, id)?;
        if !machine.cut().exists() {
            let text = "it is not cut; an apply starts a machine that is stopped";
            return Err(invalid(OPERATION, text).object(&id.0));
        }
        files::remove(&machine.cut()).during(OPERATION)?;
        processes::continue_members(&machine)
            .map_err(StateError::io("continue the processes of", machine.path()))
            .during(OPERATION)
    }

    /// The file with what the units of a machine printed.
    ///
    /// # Errors
    /// When there is no such machine.
    pub fn journal(&self, id: &InstanceId) -> cloud::Result<PathBuf> {
        let (machine, _) = self.machine("GetJournal", id)?;
        Ok(machine.journal())
    }

    /// The GPUs that a machine alone has, by their UUIDs; none of a machine that has gone meanwhile.
    ///
    /// # Errors
    /// When the state directory cannot be read.
    pub fn gpus(&self, id: &InstanceId) -> cloud::Result<Vec<String>> {
        let Some(machine) = self.store.machine(&id.0) else { return Ok(Vec::new()) };
        let record = MachineRecord::read(&machine).during("ListMachines")?;
        Ok(record.map(|record| record.config.gpus).unwrap_or_default())
    }

    fn machine(
        &self,
        operation: &'static str,
        id: &InstanceId,
    ) -> cloud::Result<(MachineDirectory, MachineRecord)> {
        let machine = self.store.machine(&id.0);
        let machine = machine.ok_or_else(|| absent(operation, "machine", &id.0))?;
        let record = MachineRecord::read(&machine).during(operation)?;
        let record = record.ok_or_else(|| absent(operation, "machine", &id.0))?;
        Ok((machine, record))
    }
}

/// Stops every process of a machine's units: again and again until none runs, because one that was
/// not stopped yet may have started another.
async fn stop_members(machine: &MachineDirectory) -> io::Result<()> {
    loop {
        let running = processes::members(machine)?
            .into_iter()
            .filter(|member| processes::stat(member.pid()).is_some_and(|stat| stat.state != b'T'))
            .collect::<Vec<_>>();
        if running.is_empty() {
            return Ok(());
        }
        running.iter().try_for_each(|member| member.signal(Signal::STOP))?;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

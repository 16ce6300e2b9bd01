//! The process that is a machine: boots it, keeps its units running, stops it, and is the only
//! parent its processes ever have.

use crate::config::{Desired, MachineConfig};
use crate::containers;
use crate::directory::{ALIVE, MACHINE_VARIABLE, MachineDirectory, Status, digest_of};
use crate::files::{self, FileError};
use crate::logs::Logs;
use crate::namespace;
use crate::processes;
use crate::root::{self, BootError};
use crate::secrets::Secrets;
use crate::service::{Service, Surroundings};
use rustix::process::getpid;
use std::{
    collections::BTreeMap,
    error::Error,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
    time::Instant,
};

/// Tells units where the machine's root directory is, and its address.
const ROOT_VARIABLE: &str = "DISAGG_ROOT";
const IP_VARIABLE: &str = "DISAGG_IP";

/// How often a machine looks whether it still exists: somebody may remove the whole state directory
/// without a word, and nobody could ever find what ran on.
const CONFIG_INTERVAL: Duration = Duration::from_secs(2);

/// A machine that is up or about to be.
#[derive(Debug)]
struct Supervisor {
    machine: MachineDirectory,
    config: MachineConfig,
    status: Status,
    secrets: Secrets,
    logs: Arc<Logs>,
    signals: Signals,
    /// Tasks that read the output of units.
    readers: JoinSet<()>,
    _alive: File,
}

#[derive(Debug)]
struct Signals {
    terminate: Signal,
    hangup: Signal,
    child: Signal,
    /// What a launching process may have told to be ignored: with a handler of our own, units get
    /// the default again.
    _others: Vec<Signal>,
}

/// How the time of being up ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    PowerOff,
    Reboot,
}

/// Runs the machine until it is powered off. Reads its secrets from the standard input.
pub(crate) async fn run(machine: MachineDirectory) -> Result<(), Box<dyn Error>> {
    // Before anything else: whoever launches waits for no more than this.
    let mut secrets = Vec::new();
    io::stdin().read_to_end(&mut secrets)?;
    let secrets = serde_json::from_slice(&secrets)?;

    let Some(alive) = take_life(&machine).await? else {
        // Another supervisor was faster: the machine is alive.
        io::stdout().write_all(ALIVE.as_bytes())?;
        return Ok(());
    };
    let config = machine.config()?.filter(|config| config.desired == Desired::Up);
    let config = config.ok_or("the machine is not to be up any more")?;
    let signals = Signals::new()?;
    rustix::process::set_child_subreaper(Some(getpid()))?;
    let this = processes::stat(getpid()).ok_or("this process is not in /proc")?;
    let status = Status {
        pid: getpid().as_raw_pid(),
        start_time: this.start_time,
        kernel_boot_id: processes::kernel_boot_id()?,
        booted: false,
        user_data: Some(digest_of(&fs::read(machine.user_data())?)),
    };
    files::write_json(&machine.status_path(), &status)?;
    // A launching process that is gone meanwhile does not wait for the word.
    let _ = io::stdout().write_all(ALIVE.as_bytes());
    leave_standard_streams()?;

    root::prepare(&machine, &config)?;
    let logs = Arc::new(Logs::open(&machine.journal(), &machine.console())?);
    if config.namespaces
        && let Err(error) = namespace::enter(&machine.root().join("etc/hosts"))
    {
        let line = format!("no hosts file of its own: the kernel gives no namespace: {error}");
        logs.journal("machine", line.as_bytes());
    }
    let supervisor = Supervisor {
        machine,
        config,
        status,
        secrets,
        logs,
        signals,
        readers: JoinSet::new(),
        _alive: alive,
    };
    supervisor.live().await
}

impl Supervisor {
    async fn live(mut self) -> Result<(), Box<dyn Error>> {
        // Whoever asked for the end before the status was there could not signal us.
        let mut end =
            if self.desired()? == Some(Desired::Up) { End::Reboot } else { End::PowerOff };
        let mut failed = None;
        while end == End::Reboot {
            end = self.boot().await.unwrap_or_else(|error| {
                failed = Some(error);
                End::PowerOff
            });
        }
        // However it ends: nothing may go on without a supervisor.
        self.end_stragglers().await?;
        if let Some(error) = failed {
            return Err(error);
        }
        match self.desired()? {
            Some(Desired::Terminated) | None => {
                files::remove_directory(&self.machine.memory())?;
                files::remove_directory(&self.machine.root())?;
            }
            Some(Desired::Stopped | Desired::Up) => {
                files::remove_directory(&self.machine.memory())?;
            }
        }
        Ok(())
    }

    /// One boot, from its beginning to its end.
    async fn boot(&mut self) -> Result<End, Box<dyn Error>> {
        self.set_booted(false)?;
        root::prepare(&self.machine, &self.config)?;
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned();
        self.logs.journal("machine", format!("boot {boot_id}").as_bytes());
        if let Some(end) = self.delay(Duration::from_millis(self.config.boot_delay_ms)).await {
            return Ok(end);
        }
        let root = self.machine.root();
        let units = root::first_boot(&self.machine, &self.config)
            .and_then(|()| root::enabled_units(&root))
            .unwrap_or_else(|error| {
                self.report(&boot_id, &error);
                Vec::new()
            });
        self.set_booted(true)?;
        let mut services: Vec<_> = units.into_iter().map(Service::new).collect();
        let (logs, cut) = (Arc::clone(&self.logs), self.machine.cut());
        let around = Surroundings {
            root: &root,
            logs: &logs,
            environment: self.environment(&boot_id, &root),
            cut: &cut,
        };
        let end = self.serve(&mut services, &around).await?;
        self.stop(&mut services, &around).await?;
        self.end_stragglers().await?;
        Ok(end)
    }

    /// Keeps the units running until the machine is to go down.
    async fn serve(
        &mut self,
        services: &mut [Service],
        around: &Surroundings<'_>,
    ) -> io::Result<End> {
        let mut look = tokio::time::interval(CONFIG_INTERVAL);
        loop {
            for service in &mut *services {
                service.start_if_due(around, &mut self.readers);
            }
            let due = services.iter().filter_map(Service::due).min();
            tokio::select! {
                biased;
                _ = self.signals.terminate.recv() => return Ok(End::PowerOff),
                _ = self.signals.hangup.recv() => return Ok(End::Reboot),
                _ = self.signals.child.recv() => reap(services, around).await?,
                Some(_) = self.readers.join_next() => {}
                _ = look.tick() => {
                    if !self.machine.config_path().exists() {
                        return Ok(End::PowerOff);
                    }
                }
                () = until(due) => {}
            }
        }
    }

    /// Stops every unit, each in its own time at most.
    async fn stop(
        &mut self,
        services: &mut [Service],
        around: &Surroundings<'_>,
    ) -> Result<(), Box<dyn Error>> {
        files::remove(&self.machine.cut())?;
        for service in &mut *services {
            service.stop()?;
        }
        // A simulated cut has stopped more than units know.
        processes::continue_members(&self.machine)?;
        while !services.iter().all(Service::is_stopped) {
            let due = services.iter().filter_map(Service::due).min();
            tokio::select! {
                _ = self.signals.child.recv() => reap(services, around).await?,
                () = until(due) => {
                    services.iter_mut().try_for_each(|service| service.kill_if_due(around))?;
                }
            }
        }
        Ok(())
    }

    /// Kills whatever is left of this machine, and takes note of its last words.
    async fn end_stragglers(&mut self) -> io::Result<()> {
        containers::remove(&self.machine).await;
        processes::kill_all(|| {
            let mut found = processes::members(&self.machine)?;
            found.extend(processes::descendants_or_session(getpid())?);
            Ok(found)
        })
        .await?;
        while processes::reap()?.is_some() {}
        // A pipe that nobody writes to any more ends at once; one that went elsewhere may not.
        let read = async { while self.readers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(1), read).await;
        self.readers.abort_all();
        Ok(())
    }

    /// Lets time pass, unless the machine is to go down before.
    async fn delay(&mut self, delay: Duration) -> Option<End> {
        tokio::select! {
            biased;
            _ = self.signals.terminate.recv() => Some(End::PowerOff),
            _ = self.signals.hangup.recv() => Some(End::Reboot),
            () = tokio::time::sleep(delay) => None,
        }
    }

    /// Tells the console that the user data came to nothing, as a boot script tells a failure.
    fn report(&self, boot_id: &str, error: &BootError) {
        let mut lines = vec![format!(
            "disagg-state boot={boot_id} role=unknown status=failed phase=user-data attempts=1 code=1"
        )];
        let mut cause = Some(error as &dyn Error);
        while let Some(error) = cause {
            lines.push(format!("disagg-log {}", error.to_string().replace('\n', " ")));
            cause = error.source();
        }
        lines.push("disagg-end".to_owned());
        for line in lines {
            self.logs.journal("machine", line.as_bytes());
            self.logs.console(line.as_bytes());
        }
    }

    fn environment(&self, boot_id: &str, root: &Path) -> BTreeMap<String, String> {
        let mut environment = self.secrets.variables().clone();
        let root = root.to_string_lossy();
        if !self.config.gpus.is_empty() {
            environment.insert("DISAGG_GPUS".to_owned(), self.config.gpus.join(","));
        }
        environment.extend(self.config.engine_runtimes.iter().map(|(engine, path)| {
            let name = format!("DISAGG_ENGINE_RUNTIME_{}", engine.to_ascii_uppercase());
            (name, path.to_string_lossy().into_owned())
        }));
        environment.extend(
            [
                (MACHINE_VARIABLE, self.config.id.clone()),
                (ROOT_VARIABLE, root.clone().into_owned()),
                (IP_VARIABLE, self.config.ip.to_string()),
                ("DISAGG_BOOT_ID", boot_id.to_owned()),
                ("HOME", format!("{root}/root")),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        environment
    }

    fn set_booted(&mut self, booted: bool) -> Result<(), FileError> {
        self.status.booted = booted;
        files::write_json(&self.machine.status_path(), &self.status)
    }

    /// What the machine should be doing; nothing when its configuration is gone.
    fn desired(&self) -> Result<Option<Desired>, FileError> {
        Ok(self.machine.config()?.map(|config| config.desired))
    }
}

impl Signals {
    fn new() -> io::Result<Self> {
        let others = [SignalKind::interrupt(), SignalKind::quit(), SignalKind::alarm()];
        let others =
            others.into_iter().chain([SignalKind::user_defined1(), SignalKind::user_defined2()]);
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            child: signal(SignalKind::child())?,
            _others: others.map(signal).collect::<io::Result<_>>()?,
        })
    }
}

/// Takes the lock that means life. Whoever looks whether we live holds it for a moment; another
/// supervisor keeps it.
async fn take_life(machine: &MachineDirectory) -> io::Result<Option<File>> {
    for _ in 0..200 {
        if let Some(lock) = machine.try_live()? {
            return Ok(Some(lock));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(None)
}

/// Takes note of every child that has ended, and forgets those that were only adopted.
async fn reap(services: &mut [Service], around: &Surroundings<'_>) -> io::Result<()> {
    while let Some((pid, code)) = processes::reap()? {
        for service in &mut *services {
            service.ended(pid, code, around).await?;
        }
    }
    Ok(())
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The pipes to the launching process must end for it to go on; errors go on to the log.
fn leave_standard_streams() -> io::Result<()> {
    rustix::stdio::dup2_stdin(OpenOptions::new().read(true).open("/dev/null")?)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok(())
}

//! A network with a metadata service, and hosts in it: `machine/datacentre` and `machine/host`.
//!
//! A host is one machine with real systemd and real cloud-init. All of it lives in the namespaces of
//! one process that ends when its standard input does, so nothing outlives a test, however it ends.

use crate::image::Image;
use crate::wait::{timed, wait_for};
use crate::{SCRIPTS, require_root};
use domain::console::{self, BootFailure, MachineState};
use domain::user_data::UserData;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};

/// The address of the host with this number, from 2 to 254.
pub fn address(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 77, 0, number))
}

/// One network of its own.
#[derive(Debug)]
pub struct Datacentre {
    process: Child,
    pid: String,
}

impl Default for Datacentre {
    fn default() -> Self {
        Self::new()
    }
}

impl Datacentre {
    /// One without any host.
    ///
    /// # Panics
    /// Without root, and where this machine has no namespaces.
    pub fn new() -> Self {
        require_root();
        let mut process = Command::new(format!("{SCRIPTS}/machine/datacentre"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the script is executable");
        let mut line = String::new();
        let output = process.stdout.as_mut().expect("its output is a pipe");
        BufReader::new(output).read_line(&mut line).expect("its output is text");
        let pid = line.trim_end().strip_prefix("ready ").map(str::to_owned);
        let pid = pid.expect("the datacentre said why it does not come up");
        Self { process, pid }
    }

    /// The process that all of it hangs on, from outside.
    pub fn pid(&self) -> &str {
        &self.pid
    }

    /// Kills it, as a machine that runs out of memory would.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn kill(&mut self) {
        self.process.kill().expect("it runs");
    }

    /// A host that is off.
    ///
    /// # Panics
    /// When there is one of that name or address.
    pub fn host(
        &self,
        name: &str,
        address: IpAddr,
        image: Image,
        user_data: &UserData,
    ) -> Host<'_> {
        let path = image.path();
        let path = path.to_str().expect("the cache has a plain path");
        let mut create = self.command(&["create", name, &address.to_string(), path]);
        let mut create = create.stdin(Stdio::piped()).spawn().expect("the script is executable");
        let mut stdin = create.stdin.take().expect("its input is a pipe");
        stdin.write_all(user_data.bytes()).expect("the user data are read");
        drop(stdin);
        assert!(create.wait().expect("it was started").success(), "there is no host {name}");
        Host { datacentre: self, name: name.to_owned(), address, image }
    }

    /// A chat completion, asked for from inside the network by a client that is not ours: the
    /// status, 0 without an answer, and the body.
    pub fn chat(&self, address: IpAddr, port: u16, model: &str) -> (u16, String) {
        let body = serde_json::json!({
            "model": model,
            "messages": [{ "role": "user", "content": "What is disaggregated inference?" }],
            "max_tokens": 16,
        });
        self.curl(&[
            &format!("http://{address}:{port}/v1/chat/completions"),
            "--header",
            "Content-Type: application/json",
            "--data",
            &body.to_string(),
        ])
    }

    /// What a page says, asked for in the same way.
    pub fn get(&self, address: IpAddr, port: u16, path: &str) -> (u16, String) {
        self.curl(&[&format!("http://{address}:{port}{path}")])
    }

    fn curl(&self, arguments: &[&str]) -> (u16, String) {
        let output = Command::new("nsenter")
            .args(["--target", &self.pid, "--net", "curl", "--silent", "--show-error"])
            .args(["--noproxy", "*", "--max-time", "20", "--write-out", "\n%{http_code}"])
            .args(arguments)
            .output()
            .expect("nsenter is on the PATH");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, code) = text.rsplit_once('\n').unwrap_or(("", "0"));
        (code.parse().unwrap_or_default(), body.to_owned())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(format!("{SCRIPTS}/machine/host"));
        command.arg(&self.pid).args(arguments);
        command
    }

    fn do_it(&self, arguments: &[&str]) {
        let output = self.command(arguments).output().expect("the script is executable");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {error}", arguments.join(" "));
    }
}

impl Drop for Datacentre {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let ended = self.process.wait();
        let ended_well = ended.is_ok_and(|status| status.success() || status.signal().is_some());
        assert!(ended_well || std::thread::panicking(), "the datacentre did not end well");
    }
}

/// One machine.
#[derive(Debug)]
pub struct Host<'a> {
    datacentre: &'a Datacentre,
    name: String,
    address: IpAddr,
    image: Image,
}

impl Host<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Switches it on; returns when its systemd runs.
    pub fn start(&self) {
        self.datacentre.do_it(&["start", &self.name]);
        eprintln!(
            "           to look into {}: {SCRIPTS}/machine/host {} run {}",
            self.name, self.datacentre.pid, self.name
        );
    }

    /// Reboots it as its user would; returns when the new systemd runs.
    pub fn reboot(&self) {
        timed(&format!("{} shut down", self.name), || {
            self.run(&["systemctl", "reboot"]);
            self.datacentre.do_it(&["wait-off", &self.name]);
        });
        self.start();
    }

    /// Pulls its network cable.
    pub fn cut(&self) {
        self.datacentre.do_it(&["cut", &self.name]);
    }

    /// Puts its network cable back.
    pub fn heal(&self) {
        self.datacentre.do_it(&["heal", &self.name]);
    }

    /// Runs a command on it to its end.
    pub fn run(&self, command: &[&str]) -> Output {
        let arguments = [&["run", &self.name], command].concat();
        self.datacentre.command(&arguments).output().expect("the script is executable")
    }

    /// What a command on it prints.
    ///
    /// # Panics
    /// When the command fails.
    pub fn read(&self, command: &[&str]) -> String {
        let output = self.run(command);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} on {}: {error}", command.join(" "), self.name);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What it has printed on its serial console.
    pub fn console(&self) -> String {
        let output = self.datacentre.command(&["console", &self.name]).output();
        let output = output.expect("the script is executable");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The last state that it told its console, as the provider reads it.
    pub fn state(&self) -> Option<MachineState> {
        console::latest_state(&self.console())
    }

    /// The boot failure that it told its console, as the provider reads it.
    pub fn failure(&self) -> Option<BootFailure> {
        console::failure(&self.console())
    }

    /// Its console and its journal, for a person.
    pub fn explain(&self) -> String {
        let journal =
            self.run(&["journalctl", "--no-pager", "--lines", "60", "--unit", "disagg-*"]);
        format!(
            "--- console of {0}\n{1}\n--- journal of {0}\n{2}",
            self.name,
            self.console(),
            String::from_utf8_lossy(&journal.stdout)
        )
    }

    /// Waits until its console says something, and tells how long it took.
    ///
    /// # Panics
    /// When it does not, in so many seconds.
    pub fn wait_for<T>(
        &self,
        what: &str,
        seconds: u64,
        mut answer: impl FnMut(&Self) -> Option<T>,
    ) -> T {
        wait_for(&format!("{} {what}", self.name), seconds, || answer(self), || self.explain())
    }

    /// Waits until cloud-init has done everything, and asserts that it had nothing to complain
    /// about and read its data from the metadata service.
    ///
    /// # Panics
    /// When it failed, warned, or has not done in a minute.
    pub fn assert_cloud_init_done(&self) {
        let status = self.wait_for("has cloud-init done", 60, |host| {
            let output = host.run(&["cloud-init", "status", "--format", "json"]);
            let status: Value = serde_json::from_slice(&output.stdout).ok()?;
            let running = ["not run", "not started", "running"].map(Value::from);
            (!running.contains(&status["status"])).then_some(status)
        });
        assert_eq!(status["status"], "done", "{status:#}\n{}", self.explain());
        assert_eq!(status["datasource"], "ec2", "{status:#}");
        assert_eq!(status["errors"], Value::Array(Vec::new()), "{status:#}");
        if self.image == Image::Trixie {
            assert_eq!(status["extended_status"], "done", "{status:#}\n{}", self.explain());
            assert_eq!(status["recoverable_errors"], serde_json::json!({}), "{status:#}");
        }
        // The old one does not count its warnings.
        let log = self.read(&["cat", "/var/log/cloud-init.log"]);
        let warnings: Vec<&str> = log.lines().filter(|line| line.contains("[WARNING]")).collect();
        assert_eq!(warnings, Vec::<&str>::new(), "warnings of cloud-init on {}", self.name);
    }
}

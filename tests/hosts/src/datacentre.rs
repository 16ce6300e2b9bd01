//! A network with a metadata service, and hosts in it: `machine/datacentre` and `machine/host`.
//!
//! A host is one machine with real systemd and real cloud-init. All of it lives in the namespaces of
//! one process that ends when its standard input does, so nothing outlives a test, however it ends.

use crate::image::Image;
use crate::wait::{timed, wait_for};
use crate::{SCRIPTS, require_root};
use domain::console::{self, BootFailure, MachineState};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The address of the host with this number, from 2 to 254.
pub fn address(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(172, 31, 0, number))
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
    pub fn host(&self, name: &str, address: IpAddr, image: Image, user_data: &[u8]) -> Host<'_> {
        self.create(name, address, image, user_data);
        Host { datacentre: self, name: name.to_owned(), address, image }
    }

    /// The same, whatever it boots from.
    pub(crate) fn create(&self, name: &str, address: IpAddr, image: Image, user_data: &[u8]) {
        let path = image.path();
        let path = path.to_str().expect("the cache has a plain path");
        self.do_with(&["create", name, &address.to_string(), path], user_data);
    }

    /// The host of this name that somebody else has made.
    pub fn existing(&self, name: &str, address: IpAddr, image: Image) -> Host<'_> {
        Host { datacentre: self, name: name.to_owned(), address, image }
    }

    /// The network namespace of who stands outside, for `nsenter --net=…`.
    pub fn operator(&self) -> PathBuf {
        self.inside("run/netns/operator")
    }

    /// What the host of this name has printed on its serial console; nothing when there is none.
    pub fn console(&self, name: &str) -> String {
        let console = fs::read(self.inside(&format!("run/datacentre/hosts/{name}/console")));
        String::from_utf8_lossy(&console.unwrap_or_default()).into_owned()
    }

    fn inside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root/{path}", self.pid))
    }

    /// A chat completion, asked for from inside the network by a client that is not ours: the
    /// status, 0 without an answer, and the body.
    pub fn chat(&self, address: IpAddr, port: u16, model: &str) -> (u16, String) {
        chat(&self.network(), &format!("http://{address}:{port}"), model)
    }

    /// The same from outside, at the base of the API.
    pub fn chat_from_outside(&self, url: &str, model: &str) -> (u16, String) {
        chat(&self.operator(), url, model)
    }

    /// What a page says, asked for from inside.
    pub fn get(&self, address: IpAddr, port: u16, path: &str) -> (u16, String) {
        curl(&self.network(), &[&format!("http://{address}:{port}{path}")])
    }

    /// Whether outside there is a way to the machines' own addresses, as over a VPN: at first there is.
    pub fn set_route_from_outside(&self, is_there: bool) {
        let kind: &[&str] = if is_there { &[] } else { &["unreachable"] };
        let network = format!("--net={}", self.operator().display());
        let mut command = Command::new("nsenter");
        command.args([&network, "ip", "route", "replace"]).args(kind).arg("172.31.0.0/16");
        if is_there {
            command.args(["via", "100.64.0.1"]);
        }
        assert!(command.status().expect("nsenter is on the PATH").success(), "no such route");
    }

    /// A streamed answer of so many tokens, from inside, that goes on while a test does something else.
    pub fn long_answer(&self, address: IpAddr, port: u16, model: &str, tokens: u32) -> LongAnswer {
        let body = serde_json::json!({
            "model": model,
            "messages": [{ "role": "user", "content": "Tell me a story." }],
            "max_tokens": tokens,
            "ignore_eos": true,
            "stream": true,
            "stream_options": { "include_usage": true },
        });
        let url = format!("http://{address}:{port}/v1/chat/completions");
        let text = tempfile::NamedTempFile::new().expect("temp file");
        let curl = Command::new("nsenter")
            .arg(format!("--net={}", self.network().display()))
            .args(["curl", "--silent", "--no-buffer", "--noproxy", "*", "--max-time", "240"])
            .args(["--header", "Content-Type: application/json", "--data", &body.to_string()])
            .arg("--output")
            .arg(text.path())
            .arg(url)
            .spawn()
            .expect("nsenter is on the PATH");
        LongAnswer { curl, text, tokens }
    }

    fn network(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.pid))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(format!("{SCRIPTS}/machine/host"));
        command.arg(&self.pid).args(arguments);
        command
    }

    /// Has `machine/host` do something to its end.
    pub(crate) fn do_it(&self, arguments: &[&str]) {
        self.do_with(arguments, &[]);
    }

    /// The same with something to read.
    pub(crate) fn do_with(&self, arguments: &[&str], input: &[u8]) {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the script is executable");
        let mut stdin = child.stdin.take().expect("its input is a pipe");
        // What does not read it says why in its errors.
        let _ = stdin.write_all(input);
        drop(stdin);
        let output = child.wait_with_output().expect("it was started");
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

/// An answer that takes its time.
#[derive(Debug)]
pub struct LongAnswer {
    curl: Child,
    text: tempfile::NamedTempFile,
    tokens: u32,
}

impl LongAnswer {
    /// Whether the first tokens have come.
    pub fn has_begun(&self) -> bool {
        self.text().matches("data: {").count() > 2
    }

    /// Waits for its end, and asserts that it is whole.
    ///
    /// # Panics
    /// When it was cut.
    pub fn assert_whole(mut self) {
        let ended = self.curl.wait().expect("curl can be waited for");
        let text = self.text();
        let tokens = format!("\"completion_tokens\":{}", self.tokens);
        let end = text.len().saturating_sub(400);
        let is_whole = ended.success() && text.contains(&tokens) && text.contains("data: [DONE]");
        assert!(is_whole, "{ended}: …{}", text.get(end..).unwrap_or_default());
    }

    fn text(&self) -> String {
        fs::read_to_string(self.text.path()).expect("the answer can be read")
    }
}

fn chat(network: &Path, url: &str, model: &str) -> (u16, String) {
    let body = serde_json::json!({
        "model": model,
        "messages": [{ "role": "user", "content": "What is disaggregated inference?" }],
        "max_tokens": 16,
    });
    let url = format!("{url}/v1/chat/completions");
    let content = "Content-Type: application/json";
    curl(network, &[&url, "--header", content, "--data", &body.to_string()])
}

fn curl(network: &Path, arguments: &[&str]) -> (u16, String) {
    let output = Command::new("nsenter")
        .arg(format!("--net={}", network.display()))
        .args(["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "20"])
        .args(["--write-out", "\n%{http_code}"])
        .args(arguments)
        .output()
        .expect("nsenter is on the PATH");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, code) = text.rsplit_once('\n').unwrap_or(("", "0"));
    (code.parse().unwrap_or_default(), body.to_owned())
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

    /// Changes what the metadata service says of it: its tags, and the notice of its interruption.
    pub fn describe(&self, metadata: &Value) {
        self.datacentre.do_with(&["describe", &self.name], metadata.to_string().as_bytes());
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
        self.datacentre.console(&self.name)
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
        // The old one is not told that it is on EC2, and looks when there is a network.
        let datasource = if self.image == Image::Trixie { "ec2local" } else { "ec2" };
        assert_eq!(status["datasource"], datasource, "{status:#}");
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

//! One configuration in a directory of its own, in a cloud under test.

use crate::config;
use crate::machines::wait_until;
use crate::plan::Plan;
use crate::site::{Aws, Cloud, Local, Site};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use std::any::Any;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};

/// A directory with a configuration, and the cloud that it is applied to.
#[derive(Debug)]
pub struct Workspace {
    cloud: Cloud,
    directory: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Workspace {
    /// An empty one in this cloud.
    pub fn on(cloud: &Cloud) -> Self {
        Self::of(binary(), cloud)
    }

    /// An empty one on a local cloud, for what is this cloud's alone, or the same on every one.
    pub fn local() -> Self {
        Self::on(&Local::cloud())
    }

    /// An empty one on a simulated AWS, for what is AWS's alone.
    pub fn on_aws() -> Self {
        Self::on(&Aws::cloud())
    }

    /// Another one in the same cloud.
    pub fn neighbour(&self) -> Self {
        Self::on(&self.cloud)
    }

    /// An empty one with another build of the provider.
    pub fn of(binary: &Path, cloud: &Cloud) -> Self {
        let directory = tempfile::Builder::new().prefix("disagg-").tempdir().expect("temp dir");
        let cli_config = format!(
            "provider_installation {{\n  dev_overrides {{\n    \"disagg/disagg\" = \"{}\"\n  }}\n  direct {{}}\n}}\n",
            binary.parent().expect("a binary is in a directory").display()
        );
        std::fs::write(directory.path().join("terraform.rc"), cli_config).expect("CLI config");
        Self { cloud: Arc::clone(cloud), directory, environment: cloud.environment() }
    }

    /// The same, with a variable in the environment of Terraform.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The cloud that it is in.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The same, where it is known which cloud that is.
    ///
    /// # Panics
    /// When it is another one.
    pub fn site<S: Site>(&self) -> &S {
        let site: &dyn Any = &*self.cloud;
        site.downcast_ref().expect("the cloud of this test")
    }

    /// Where the configuration is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The local cloud's state directory.
    pub fn state_directory(&self) -> PathBuf {
        self.site::<Local>().state_directory()
    }

    /// Replaces the configuration.
    pub fn write(&self, configuration: &str) {
        let header = "terraform {\n  required_providers {\n    disagg = { source = \"disagg/disagg\" }\n  }\n}\n\n";
        let configuration = configuration.replace(config::CLOUD, &self.cloud.fleet_attributes());
        std::fs::write(self.path().join("main.tf"), format!("{header}{configuration}"))
            .expect("configuration");
    }

    /// Applies a configuration, which must succeed.
    pub fn apply(&self, configuration: &str) -> Run {
        self.write(configuration);
        self.terraform(&["apply", "-auto-approve"]).success()
    }

    /// Applies a configuration, which must fail.
    pub fn apply_fails(&self, configuration: &str) -> Run {
        self.write(configuration);
        self.terraform(&["apply", "-auto-approve"]).failure()
    }

    /// The plan for a configuration, which must be possible.
    pub fn plan(&self, configuration: &str) -> Plan {
        self.write(configuration);
        self.plan_now(&[])
    }

    /// The plan for what stands there, with more arguments for Terraform.
    pub fn plan_now(&self, arguments: &[&str]) -> Plan {
        let mut all = vec!["plan", "-out=plan.bin"];
        all.extend(arguments);
        let run = self.terraform(&all).success();
        let json = self.terraform(&["show", "-json", "plan.bin"]).success();
        Plan::parse(&json.stdout, run.stdout)
    }

    /// The plan for a configuration, which must fail.
    pub fn plan_fails(&self, configuration: &str) -> Run {
        self.write(configuration);
        self.terraform(&["plan"]).failure()
    }

    /// Asserts that the plan for what stands there is empty, and that drift detection says so.
    pub fn assert_no_changes(&self) {
        let run = self.terraform(&["plan", "-detailed-exitcode"]);
        assert_eq!(run.code, Some(0), "the plan is not empty:\n{}\n{}", run.stdout, run.stderr);
    }

    /// Destroys everything and asserts that nothing is left.
    pub fn destroy(&self) {
        self.terraform(&["destroy", "-auto-approve"]).success();
        self.assert_nothing_left();
    }

    /// Asserts that nothing is left in the cloud.
    pub fn assert_nothing_left(&self) {
        assert_eq!(self.machines(), Vec::new(), "machines are left");
        assert_eq!(self.cloud.left(), Vec::<String>::new(), "something is left");
    }

    /// Runs Terraform to its end.
    pub fn terraform(&self, arguments: &[&str]) -> Run {
        Run::of(&mut self.command(arguments))
    }

    /// Starts Terraform and leaves it running, in a process group of its own.
    pub fn start_terraform(&self, arguments: &[&str]) -> Child {
        use std::os::unix::process::CommandExt;
        let mut command = self.command(arguments);
        command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("terraform is on the PATH")
    }

    /// Starts an apply of what stands there, and kills it, provider and all, when there are so many
    /// machines, unless it ends before. A simulated cloud is at that moment still when somebody calls it next.
    pub fn apply_and_kill_at(&self, machines: usize) {
        let mut apply = self.start_terraform(&["apply", "-auto-approve", "-lock=false"]);
        wait_until("the next machine is there", || {
            self.machines().len() >= machines || apply.try_wait().expect("wait").is_some()
        });
        kill(&mut apply);
        self.cloud.hold();
    }

    /// An output of the applied configuration.
    pub fn output(&self, name: &str) -> Value {
        let run = self.terraform(&["output", "-json", name]).success();
        serde_json::from_str(&run.stdout).expect("an output is JSON")
    }

    /// The attributes of a resource in the state, `null` when there is none.
    pub fn resource(&self, address: &str) -> Value {
        let run = self.terraform(&["show", "-json"]).success();
        let state: Value = serde_json::from_str(&run.stdout).expect("state is JSON");
        let resources = state["values"]["root_module"]["resources"].as_array().cloned();
        resources
            .unwrap_or_default()
            .into_iter()
            .find(|resource| resource["address"] == address)
            .map_or(Value::Null, |resource| resource["values"].clone())
    }

    /// The provider's own command, as in `disagg(&["status"])`.
    pub fn disagg(&self, arguments: &[&str]) -> Run {
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        Run::of(Command::new(binary()).args(arguments).envs(environment))
    }

    /// Runs a program as Terraform is run: here, with the same environment.
    pub fn run(&self, program: &Path) -> Run {
        Run::of(&mut self.environment_for(self.cloud.client(program.as_os_str())))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.cloud.client("terraform".as_ref());
        command.args(arguments);
        self.environment_for(command)
    }

    fn environment_for(&self, mut command: Command) -> Command {
        command
            .current_dir(self.path())
            .env("TF_CLI_CONFIG_FILE", self.path().join("terraform.rc"))
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_CLI_ARGS", "-no-color")
            .env("TF_INPUT", "0")
            .env("CHECKPOINT_DISABLE", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let kept = self.directory.path().to_owned();
            self.directory.disable_cleanup(true);
            eprintln!("the workspace is kept at {}", kept.display());
        }
    }
}

/// A finished command.
#[derive(Clone, Debug)]
pub struct Run {
    /// What was run.
    pub command: String,
    /// Its exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it printed as errors.
    pub stderr: String,
}

impl Run {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let words = [command.get_program()].into_iter().chain(command.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
        let ran = command.stdin(Stdio::null()).output();
        let output = ran.unwrap_or_else(|error| panic!("{} cannot be run: {error}", words[0]));
        Self {
            command: words.join(" "),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts that it succeeded.
    pub fn success(self) -> Self {
        assert_eq!(
            self.code,
            Some(0),
            "`{}` failed:\n{}\n{}",
            self.command,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Asserts that it failed.
    pub fn failure(self) -> Self {
        assert_ne!(self.code, Some(0), "`{}` did not fail:\n{}", self.command, self.stdout);
        self
    }

    /// Its errors and warnings in one line each, without Terraform's frame: a long text can be
    /// searched however it was wrapped.
    pub fn diagnostics(&self) -> String {
        let both = format!("{}\n{}", self.stdout, self.stderr);
        let words =
            both.lines().map(|line| line.trim_start_matches(['│', '╷', '╵', ' ']).trim_end());
        words.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Asserts that its errors and warnings say each of these.
    pub fn says(&self, texts: &[&str]) -> &Self {
        let said = self.diagnostics();
        for text in texts {
            assert!(
                said.contains(text),
                "it does not say `{text}`:\n{}\n{}",
                self.stdout,
                self.stderr
            );
        }
        self
    }
}

/// Where the tests and the provider under test are built.
pub fn release_directory() -> &'static Path {
    binary().parent().expect("a binary is in a directory")
}

/// The provider under test: the one that `DISAGG_PROVIDER` names, else a fresh build.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(binary) = std::env::var_os("DISAGG_PROVIDER") {
            return PathBuf::from(binary);
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace's root");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--release", "--quiet", "-p", "terraform-provider-disagg"])
            .current_dir(root)
            .status()
            .expect("cargo runs");
        assert!(built.success(), "the provider does not build");
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
        target.join("release").join("terraform-provider-disagg")
    })
}

/// Sends a signal to what [`Workspace::start_terraform`] started, with its provider.
///
/// # Panics
/// When it has no process id.
pub fn signal(run: &Child, signal: Signal) {
    let group = Pid::from_raw(i32::try_from(run.id()).expect("a pid")).expect("a pid");
    // One that has ended by itself meanwhile does not mind.
    let _ = kill_process_group(group, signal);
}

/// Kills what [`Workspace::start_terraform`] started, with its provider.
///
/// # Panics
/// When it cannot be waited for.
pub fn kill(run: &mut Child) {
    signal(run, Signal::KILL);
    run.wait().expect("it is dead");
}

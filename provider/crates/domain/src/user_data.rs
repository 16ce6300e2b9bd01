//! The document that a machine boots from: one gzip'd `#cloud-config`.
//!
//! It is a pure function of its inputs, byte for byte. Its body is JSON and not YAML, so that no question of
//! quoting arises. A file that is printable is plain text there, which compresses to two thirds of what
//! base64 takes, and any other is in base64. It holds no secret, and nothing that differs between the machines
//! of one launch.

use crate::boot::{self, BootFile, MachineKind, SCRIPT_VERSION};
use crate::engine::{self, EngineError, NodeFile, NodeSetup};
use crate::environment::{self, Environment, InvalidVariable};
use crate::gzip;
use crate::router_setup::router_setup;
use crate::secret::{SecretReference, SecretStore};
use crate::spec::{GroupSpec, RouterKind, RouterSpec, ServiceFacts};
use crate::version::DynamoVersion;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use cloud::Offer;
use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::Read;
use std::net::IpAddr;
use thiserror::Error;

/// User data, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserData {
    cloud_config: String,
    bytes: Vec<u8>,
    /// The largest file that comes from the user's own input.
    largest: (String, usize),
}

/// The user data of a service's router.
///
/// # Errors
/// When the spec cannot be carried out.
pub fn router_user_data(spec: &RouterSpec, router_ip: IpAddr) -> Result<UserData, UserDataError> {
    check_script_version(spec.script_version)?;
    let facts = ServiceFacts::of(spec, router_ip);
    let mut setup = router_setup(spec)?;
    setup.env.insert("DISAGG_PORT".to_owned(), spec.port.to_string());
    let requirements = spec.version.requirements().filter(|_| setup.installs_packages);
    let baked = Baked::Router(spec.clone());
    let kind = match spec.kind {
        RouterKind::Dynamo => MachineKind::Router,
        RouterKind::Custom => MachineKind::CustomRouter,
    };
    let machine = Machine { kind, role: "router", facts: &facts, stores: BTreeSet::new() };
    Ok(machine.content(setup, &spec.env, Vec::new(), requirements, &baked)?.render())
}

/// The user data of every worker of a replica group that is launched on this offer.
///
/// # Errors
/// When the spec cannot be carried out on such a machine.
pub fn worker_user_data(
    spec: &GroupSpec,
    facts: &ServiceFacts,
    offer: &Offer,
) -> Result<UserData, UserDataError> {
    Ok(worker_content(spec, facts, offer)?.render())
}

/// Whether [`worker_user_data`] is there and within a cloud's limit, in bytes: as a rule without
/// rendering and compressing it, which is most of what a plan would cost, and else with the quick compression, where
/// that is enough.
///
/// # Errors
/// As [`worker_user_data`] and [`UserData::check_size`].
pub fn check_worker_user_data(
    spec: &GroupSpec,
    facts: &ServiceFacts,
    offer: &Offer,
    limit: usize,
) -> Result<(), UserDataError> {
    let content = worker_content(spec, facts, offer)?;
    if content.most_static_bytes() + content.varying_bytes() <= limit {
        return Ok(());
    }
    if gzip::quick(content.cloud_config().as_bytes()).len() <= limit {
        return Ok(());
    }
    Ok(content.render().check_size(limit)?)
}

fn worker_content(
    spec: &GroupSpec,
    facts: &ServiceFacts,
    offer: &Offer,
) -> Result<Content, UserDataError> {
    check_script_version(spec.script_version)?;
    let mut setup = engine::worker_setup(spec, facts, offer)?;
    setup.env.insert("DISAGG_GROUP".to_owned(), spec.group.clone());
    let mut stores: BTreeSet<_> = spec.secret_env.values().map(SecretReference::store).collect();
    // The password of a registry of AWS is read by the script that reads its secrets.
    if setup.env.get("DISAGG_IMAGE").is_some_and(|image| is_in_registry_of_aws(image)) {
        stores.insert(SecretStore::AwsSecretsManager);
    }
    let mut secrets = Vec::new();
    if !spec.secret_env.is_empty() {
        let lines = spec.secret_env.iter().map(|(name, reference)| format!("{name}={reference}\n"));
        secrets.push(private_file("/etc/disagg/secrets", lines.collect()));
    }
    let custom = spec.engine.kind == engine::CUSTOM;
    let requirements = facts.version.requirements().filter(|_| setup.installs_packages);
    let baked = Baked::Worker(spec.clone());
    let in_container = setup.env.contains_key("DISAGG_IMAGE");
    let kind = if custom {
        MachineKind::CustomWorker
    } else if setup.installs_packages {
        MachineKind::Worker
    } else if in_container {
        MachineKind::ContainerWorker
    } else {
        MachineKind::FoundWorker
    };
    let machine = Machine { kind, role: spec.role.as_str(), facts, stores };
    machine.content(setup, &spec.env, secrets, requirements, &baked)
}

/// What a machine was made of, as it carries it along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Baked {
    /// A router.
    Router(RouterSpec),
    /// A worker.
    Worker(GroupSpec),
}

/// Reads back what a machine was made of.
///
/// # Errors
/// When these are not the bytes of a machine of ours.
pub fn parse(bytes: &[u8]) -> Result<Baked, ForeignUserData> {
    let mut text = String::new();
    let limited = GzDecoder::new(bytes).take(MOST_PLAIN_BYTES);
    { limited }.read_to_string(&mut text).map_err(ForeignUserData::Gzip)?;
    let json = text.strip_prefix(HEADER).ok_or(ForeignUserData::NoCloudConfig)?;
    let document: Document = serde_json::from_str(json)?;
    let spec = document.write_files.into_iter().find(|file| file.path == SPEC_PATH);
    let spec = spec.ok_or(ForeignUserData::NoSpec)?;
    let spec = match spec.encoding.as_deref() {
        None => spec.content.into_bytes(),
        Some(BASE64) => {
            BASE64_STANDARD.decode(spec.content).map_err(|_| ForeignUserData::NoSpec)?
        }
        Some(_) => return Err(ForeignUserData::NoSpec),
    };
    Ok(serde_json::from_slice(&spec)?)
}

/// Reads back what a router was made of.
///
/// # Errors
/// When these are not the bytes of a router of ours.
pub fn parse_router(bytes: &[u8]) -> Result<RouterSpec, ForeignUserData> {
    match parse(bytes)? {
        Baked::Router(spec) => Ok(spec),
        Baked::Worker(_) => Err(ForeignUserData::Other { found: "worker", wanted: "router" }),
    }
}

/// Reads back what a worker was made of.
///
/// # Errors
/// When these are not the bytes of a worker of ours.
pub fn parse_worker(bytes: &[u8]) -> Result<GroupSpec, ForeignUserData> {
    match parse(bytes)? {
        Baked::Worker(spec) => Ok(spec),
        Baked::Router(_) => Err(ForeignUserData::Other { found: "router", wanted: "worker" }),
    }
}

impl UserData {
    /// What is sent: gzip.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What is in it: the header and one JSON object.
    pub fn cloud_config(&self) -> &str {
        &self.cloud_config
    }

    /// Checks the size against a cloud's limit, in bytes.
    ///
    /// # Errors
    /// Names the file that a user can make smaller.
    pub fn check_size(&self, limit: usize) -> Result<(), TooLarge> {
        let size = self.bytes.len();
        if size <= limit {
            return Ok(());
        }
        let (largest, largest_size) = self.largest.clone();
        Err(TooLarge { size, limit, largest, largest_size })
    }
}

/// User data above a cloud's limit.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "the user data has {size} bytes, and the cloud takes {limit}; the largest of its files is \
     `{largest}` with {largest_size} bytes before compression"
)]
pub struct TooLarge {
    /// Its size in bytes.
    pub size: usize,
    /// The cloud's limit in bytes.
    pub limit: usize,
    /// The largest file that comes from the user's own input.
    pub largest: String,
    /// That file's size in bytes, before compression.
    pub largest_size: usize,
}

/// Why there can be no user data for a spec.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum UserDataError {
    /// What it is to run cannot run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A variable that cannot be.
    #[error(transparent)]
    Variable(#[from] InvalidVariable),
    /// Above the cloud's limit.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// This release has no such boot scripts.
    #[error(
        "it was made with boot scripts of version {0}, and this release of the provider has version \
         {SCRIPT_VERSION}"
    )]
    ScriptVersion(u32),
}

/// Bytes that are not the user data of a machine of ours.
#[derive(Debug, Error)]
pub enum ForeignUserData {
    /// Not gzip, or broken.
    #[error("it is not gzip")]
    Gzip(#[source] std::io::Error),
    /// Something else than a cloud-config.
    #[error("it does not begin with `#cloud-config`")]
    NoCloudConfig,
    /// A cloud-config of somebody else, or of a newer release.
    #[error("it is not JSON of the shape that this release writes")]
    Json(#[from] serde_json::Error),
    /// A machine that does not say what it was made of.
    #[error("it has no `{SPEC_PATH}`")]
    NoSpec,
    /// The other kind of machine.
    #[error("it is that of a {found}, not of a {wanted}")]
    Other {
        /// What it is.
        found: &'static str,
        /// What was asked for.
        wanted: &'static str,
    },
}

const HEADER: &str = "#cloud-config\n";
const BASE64: &str = "b64";
const SPEC_PATH: &str = "/etc/disagg/spec.json";

/// More than any cloud takes, even after decompression; what is longer is not ours.
const MOST_PLAIN_BYTES: u64 = 8 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    write_files: Vec<WriteFile>,
    runcmd: Vec<Vec<String>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct WriteFile {
    path: String,
    permissions: String,
    /// [`BASE64`]; without it the content is the text itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoding: Option<String>,
    content: String,
}

impl WriteFile {
    /// A file as plain text, which compresses to two thirds of what base64 takes, when every YAML reader lets
    /// it through unchanged.
    fn text(file: &NodeFile) -> Self {
        let is_plain = |c: char| c == '\n' || environment::is_printable(c);
        if !file.content.chars().all(is_plain) {
            return Self::base64(file);
        }
        Self { encoding: None, content: file.content.clone(), ..Self::base64(file) }
    }

    /// A file of any content.
    fn base64(file: &NodeFile) -> Self {
        Self {
            path: file.path.clone(),
            permissions: format!("{:04o}", file.mode),
            encoding: Some(BASE64.to_owned()),
            content: BASE64_STANDARD.encode(&file.content),
        }
    }
}

/// What all machines of a service are told alike.
struct Machine<'a> {
    kind: MachineKind,
    role: &'static str,
    facts: &'a ServiceFacts,
    /// Where its secrets are kept.
    stores: BTreeSet<SecretStore>,
}

/// What a document is made of, before it is one.
struct Content {
    kind: MachineKind,
    stores: BTreeSet<SecretStore>,
    /// What differs from one machine to another, by what users give.
    varying: Vec<NodeFile>,
    requirements: Option<&'static str>,
    units: Vec<String>,
}

impl Machine<'_> {
    fn content(
        self,
        setup: NodeSetup,
        user_env: &Environment,
        more: Vec<NodeFile>,
        requirements: Option<&'static str>,
        baked: &Baked,
    ) -> Result<Content, UserDataError> {
        let mut env = self.env();
        env.extend(setup.env);
        env.extend(user_env.clone());
        let spec = serde_json::to_string(baked).expect("a spec is plain data");
        let mut varying = vec![private_file("/etc/disagg/env", environment::encode(&env)?)];
        varying.extend(setup.files);
        varying.extend(more);
        varying.push(private_file(SPEC_PATH, spec));
        let Self { kind, stores, .. } = self;
        Ok(Content { kind, stores, varying, requirements, units: setup.units })
    }

    fn env(&self) -> Environment {
        let ServiceFacts { id, model, version, router_ip, script_version, .. } = self.facts;
        let mut env = Environment::new();
        let mut set = |name: &str, value: &str| env.insert(name.to_owned(), value.to_owned());
        set("DISAGG_ROLE", self.role);
        set("DISAGG_FLEET", &id.fleet.name);
        set("DISAGG_SERVICE", &id.name);
        set("DISAGG_SERVICE_UID", id.uid.as_str());
        set("DISAGG_VERSION", version.number());
        set("DISAGG_SCRIPT_VERSION", &script_version.to_string());
        set("DISAGG_ROUTER_INTERNAL_IP", &router_ip.to_string());
        set("DSTACK_ROUTER_INTERNAL_IP", &router_ip.to_string());
        set("DISAGG_ROUTER_HOST", &format!("router.{}.disagg.internal", id.name));
        set("DISAGG_MODEL", model);
        for (name, value) in dynamo_env(*version) {
            set(name, value);
        }
        env
    }
}

impl Content {
    fn render(&self) -> UserData {
        let largest = self.varying.iter().max_by_key(|file| file.content.len());
        let largest =
            largest.map(|file| (file.path.clone(), file.content.len())).unwrap_or_default();
        let cloud_config = self.cloud_config();
        let bytes = gzip::compress(cloud_config.as_bytes());
        UserData { cloud_config, bytes, largest }
    }

    fn cloud_config(&self) -> String {
        let boot_files = self.boot_files();
        let write_files = self.varying.iter().chain(&boot_files).map(WriteFile::text).collect();
        let command = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let mut enable: Vec<String> = command(&["systemctl", "enable", "--now"]);
        enable.extend(self.units.iter().cloned());
        let runcmd = vec![command(&["systemctl", "daemon-reload"]), enable];
        let document = Document { write_files, runcmd };
        let json = serde_json::to_string(&document).expect("a document is plain data");
        // A YAML reader stumbles over DEL, C1 and non-characters, or changes them without a word.
        assert!(json.chars().all(environment::is_printable), "only base64 carries any character");
        format!("{HEADER}{json}\n")
    }

    /// The most that a worker's static files take in a document, compressed. A test holds it.
    fn most_static_bytes(&self) -> usize {
        let of_secrets = if self.stores.is_empty() { 0 } else { 3_000 };
        let of_kind = match self.kind {
            MachineKind::CustomWorker => 6_000,
            MachineKind::ContainerWorker => 12_800,
            MachineKind::FoundWorker => 13_500,
            _ => 13_300,
        };
        let of_notices =
            if self.units.iter().any(|unit| unit == boot::NOTICES) { 1_000 } else { 0 };
        of_kind + of_secrets + of_notices
    }

    /// The most that the varying files can take in the document, even where they do not compress.
    fn varying_bytes(&self) -> usize {
        let of = |file: &NodeFile| file.path.len() + file.content.len().div_ceil(3) * 4 + 80;
        self.varying.iter().map(of).sum()
    }

    /// What is alike stands together, and digests at the end: that saves a hundred bytes or two.
    fn boot_files(&self) -> Vec<NodeFile> {
        let mut files = Vec::new();
        for BootFile { name, text } in boot::units(&self.units) {
            let path = format!("/etc/systemd/system/{name}");
            files.push(NodeFile { path, mode: 0o644, content: text.to_owned() });
        }
        for BootFile { name, text } in boot::scripts(self.kind, &self.stores, &self.units) {
            let path = format!("/opt/disagg/{name}");
            files.push(NodeFile { path, mode: 0o755, content: text.to_owned() });
        }
        if let Some(lock) = self.requirements {
            let path = "/opt/disagg/requirements.txt".to_owned();
            files.push(NodeFile { path, mode: 0o644, content: lock.to_owned() });
        }
        files
    }
}

/// Whether an image is in ECR, private or public.
fn is_in_registry_of_aws(image: &str) -> bool {
    let registry = image.split('/').next().unwrap_or_default();
    let is_private =
        |registry: &str| registry.contains(".dkr.ecr") || registry.contains(".dkr-ecr");
    registry == "public.ecr.aws" || is_private(registry)
}

/// The planes that all processes of a service share. NATS carries the events because ZMQ would bind
/// random ports on all addresses.
fn dynamo_env(version: DynamoVersion) -> impl Iterator<Item = (&'static str, &'static str)> {
    let planes = [
        ("DYN_DISCOVERY_BACKEND", "etcd"),
        ("DYN_REQUEST_PLANE", "tcp"),
        ("DYN_EVENT_PLANE", "nats"),
        ("DYN_HEALTH_CHECK_ENABLED", "true"),
        ("HF_HUB_DISABLE_TELEMETRY", "1"),
    ];
    // Said explicitly, because the default has changed between versions.
    let lease = version.has_lease_ttl().then_some(("ETCD_LEASE_TTL", "30"));
    planes.into_iter().chain(lease)
}

fn private_file(path: &str, content: String) -> NodeFile {
    NodeFile { path: path.to_owned(), mode: 0o600, content }
}

fn check_script_version(version: u32) -> Result<(), UserDataError> {
    if version == SCRIPT_VERSION { Ok(()) } else { Err(UserDataError::ScriptVersion(version)) }
}

#[cfg(test)]
#[path = "user_data_tests.rs"]
mod tests;

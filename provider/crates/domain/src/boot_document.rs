//! The document that a machine boots from: a pure function of its inputs.
//!
//! How it is rendered for a cloud, and read back, is the business of [`cloud::BootDocument`]; what the spec in
//! it says is that of [`crate::made_from`].

use crate::boot::{self, MachineKind, SCRIPT_VERSION, StaticFile};
use crate::engine::{self, EngineError, NodeSetup};
use crate::environment::{self, Environment, InvalidVariable};
use crate::made_from::Baked;
use crate::router_setup::router_setup;
use crate::secret::{SecretReference, SecretStore};
use crate::spec::{GroupSpec, RouterKind, RouterSpec, ServiceFacts};
use crate::version::DynamoVersion;
use cloud::{BootDocument, BootFile, Offer, SPEC_PATH, TooLarge};
use std::collections::BTreeSet;
use std::net::IpAddr;
use thiserror::Error;

/// What a service's router boots from.
///
/// # Errors
/// When the spec cannot be carried out.
pub fn router_document(
    spec: &RouterSpec,
    router_ip: IpAddr,
) -> Result<BootDocument, BootDocumentError> {
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
    Ok(machine.content(setup, &spec.env, Vec::new(), requirements, &baked)?.document())
}

/// What every worker of a replica group boots from that is launched on this offer.
///
/// # Errors
/// When the spec cannot be carried out on such a machine.
pub fn worker_document(
    spec: &GroupSpec,
    facts: &ServiceFacts,
    offer: &Offer,
) -> Result<BootDocument, BootDocumentError> {
    Ok(worker_content(spec, facts, offer)?.document())
}

/// Whether [`worker_document`] is there and within a cloud's limit, in bytes: as a rule without
/// rendering and compressing it, which is most of what a plan would cost.
///
/// # Errors
/// As [`worker_document`] and [`BootDocument::check_size`].
pub fn check_worker_document(
    spec: &GroupSpec,
    facts: &ServiceFacts,
    offer: &Offer,
    limit: usize,
) -> Result<(), BootDocumentError> {
    let content = worker_content(spec, facts, offer)?;
    if content.most_static_bytes() + content.varying_bytes() <= limit {
        return Ok(());
    }
    Ok(content.document().check_size(limit)?)
}

fn worker_content(
    spec: &GroupSpec,
    facts: &ServiceFacts,
    offer: &Offer,
) -> Result<Content, BootDocumentError> {
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
        secrets.push(BootFile::private("/etc/disagg/secrets", lines.collect()));
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

/// Why there can be no document for a spec.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BootDocumentError {
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
    varying: Vec<BootFile>,
    spec: String,
    requirements: Option<&'static str>,
    units: Vec<String>,
}

impl Machine<'_> {
    fn content(
        self,
        setup: NodeSetup,
        user_env: &Environment,
        more: Vec<BootFile>,
        requirements: Option<&'static str>,
        baked: &Baked,
    ) -> Result<Content, BootDocumentError> {
        let mut env = self.env();
        env.extend(setup.env);
        env.extend(user_env.clone());
        let mut varying = vec![BootFile::private("/etc/disagg/env", environment::encode(&env)?)];
        varying.extend(setup.files);
        varying.extend(more);
        let Self { kind, stores, .. } = self;
        let spec = baked.to_json();
        Ok(Content { kind, stores, varying, spec, requirements, units: setup.units })
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
    fn document(self) -> BootDocument {
        let mut files = self.varying;
        files.extend(static_files(self.kind, &self.stores, &self.units, self.requirements));
        BootDocument { files, units: self.units, spec: self.spec }
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
        let of = |path: &str, content: &str| path.len() + content.len().div_ceil(3) * 4 + 80;
        let files = self.varying.iter().map(|file| of(&file.path, &file.content));
        files.sum::<usize>() + of(SPEC_PATH, &self.spec)
    }
}

/// What is alike stands together, and digests at the end: that saves a hundred bytes or two.
fn static_files(
    kind: MachineKind,
    stores: &BTreeSet<SecretStore>,
    units: &[String],
    requirements: Option<&str>,
) -> Vec<BootFile> {
    let mut files = Vec::new();
    for StaticFile { name, text } in boot::units(units) {
        let path = format!("/etc/systemd/system/{name}");
        files.push(BootFile { path, mode: 0o644, content: text.to_owned() });
    }
    for StaticFile { name, text } in boot::scripts(kind, stores, units) {
        let path = format!("/opt/disagg/{name}");
        files.push(BootFile { path, mode: 0o755, content: text.to_owned() });
    }
    if let Some(lock) = requirements {
        let path = "/opt/disagg/requirements.txt".to_owned();
        files.push(BootFile { path, mode: 0o644, content: lock.to_owned() });
    }
    files
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

fn check_script_version(version: u32) -> Result<(), BootDocumentError> {
    if version == SCRIPT_VERSION { Ok(()) } else { Err(BootDocumentError::ScriptVersion(version)) }
}

#[cfg(test)]
#[path = "boot_document_tests.rs"]
mod tests;

//! Every kind of machine that there is user data for: what [`crate::judge`] judges.

use crate::datacentre::address;
use crate::specs::{group, render_router, render_worker, router};
use domain::cloud::CloudName;
use domain::engine::{CUSTOM, ENGINES, Engine};
use domain::environment::Environment;
use domain::spec::{GroupSpec, RouterKind, RouterSpec, Runtime, WorkerRole};
use domain::version::DynamoVersion;

/// A machine to be judged.
#[derive(Clone, Debug)]
pub struct Specimen {
    /// `aws-1.6.1-sglang-prefill-secrets`: what it is.
    pub name: String,
    /// Where it runs.
    pub cloud: CloudName,
    /// What it boots from.
    pub user_data: Vec<u8>,
}

/// Commands as users bring them: they need bash, `HOME` and a virtual environment.
const COMMANDS: &[&str] = &[
    "pip install \"ai-dynamo[sglang]==1.6.1\"",
    "export ETCD_ENDPOINTS=http://$DSTACK_ROUTER_INTERNAL_IP:2379",
    "until (echo > \"/dev/tcp/$DSTACK_ROUTER_INTERNAL_IP/2379\") 2> /dev/null; do sleep 1; done",
    "cd ~ && exec python3 -m dynamo.sglang --model-path \"$DISAGG_MODEL\" --tp 8",
];

/// All routers and workers: clouds × versions × engines × roles, with and without what users add.
pub fn specimens() -> Vec<Specimen> {
    CloudName::ALL.into_iter().flat_map(|cloud| [routers(cloud), workers(cloud)].concat()).collect()
}

fn routers(cloud: CloudName) -> Vec<Specimen> {
    let mut found = Vec::new();
    for version in DynamoVersion::all().filter(|version| version.requirements().is_some()) {
        let plain = RouterSpec { version, ..router(cloud) };
        let adorned = RouterSpec {
            args: ["--router-queue-threshold", "0.5"].map(str::to_owned).to_vec(),
            env: awkward_environment(),
            ..plain.clone()
        };
        let custom = RouterSpec { kind: RouterKind::Custom, commands: commands(), ..plain.clone() };
        for (what, spec) in [("dynamo", plain), ("dynamo-env", adorned), (CUSTOM, custom)] {
            found.push(Specimen {
                name: format!("{cloud}-{version}-router-{what}"),
                cloud,
                user_data: render_router(&spec, address(10)),
            });
        }
    }
    found
}

fn workers(cloud: CloudName) -> Vec<Specimen> {
    let mut found = Vec::new();
    for engine in ENGINES {
        for version in DynamoVersion::all().filter(|version| runs_version(*engine, *version)) {
            let router = RouterSpec { version, ..router(cloud) };
            for role in WorkerRole::ALL {
                let plain = group_of(*engine, &router, role);
                let secret = GroupSpec {
                    secret_env: [("HF_TOKEN".to_owned(), secret_reference(cloud))].into(),
                    env: awkward_environment(),
                    ..plain.clone()
                };
                let mut specs = vec![("", plain.clone()), ("-secrets", secret)];
                if engine.needs_gpu() {
                    let mut eight = plain;
                    eight.engine.tensor_parallel = Some(1);
                    specs.push(("-8-engines", eight));
                }
                for (what, spec) in specs {
                    found.push(Specimen {
                        name: format!("{cloud}-{version}-{}-{role}{what}", engine.name()),
                        cloud,
                        user_data: render_worker(&spec, &router, address(10)),
                    });
                }
            }
        }
    }
    found
}

/// A container takes every version, a virtual environment those with a package lock.
fn runs_version(engine: &dyn Engine, version: DynamoVersion) -> bool {
    engine.needs_gpu() || version.requirements().is_some()
}

fn group_of(engine: &dyn Engine, router: &RouterSpec, role: WorkerRole) -> GroupSpec {
    let mut spec = group(router, engine.name(), role);
    if engine.needs_gpu() {
        spec.resources.gpu = Some("H200:8".parse().expect("it is a GPU request"));
        // Elsewhere they run in containers.
        let is_local = router.fleet.cloud == CloudName::Local;
        spec.engine.runtime = is_local.then_some(Runtime::Venv);
    }
    if engine.runs_commands() {
        spec.engine.commands = commands();
    }
    spec
}

fn commands() -> Vec<String> {
    COMMANDS.iter().map(|command| (*command).to_owned()).collect()
}

/// Values that want quoting in a shell, in systemd and in YAML.
fn awkward_environment() -> Environment {
    [
        ("GREETING", "say \"héllo\" to $HOME, 'twice' `now` \\ 100 % # yes: {a} 😀"),
        ("NCCL_DEBUG", "WARN"),
        ("NO", "no"),
        ("OCTAL", "0640"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn secret_reference(cloud: CloudName) -> domain::secret::SecretReference {
    let reference = match cloud {
        CloudName::Local => "env://HF_TOKEN",
        CloudName::Aws => "aws-sm://prod/hf-token",
        CloudName::Gcp => "gcp-sm://my-project/hf-token",
        CloudName::Azure => "azure-kv://vault/hf-token",
    };
    reference.parse().expect("it is a reference")
}

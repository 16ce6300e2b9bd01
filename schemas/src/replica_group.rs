//! `disagg_replica_group`: N identical worker machines of one role.

use crate::table::{ChangeClass::*, ImportSource::*, computed, optional, required};
use crate::timeouts::Timeouts;
use plugin::Attr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A replica group is N identical worker machines of one role. Prefill and decode groups scale on
/// their own; a change of the count adds or removes only the difference.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaGroup {
    /// `<service id>/<name>`.
    #[schemars(extend("x-disagg" = computed().import(Id)))]
    pub id: Attr<String>,

    /// The group's name in its service: lower-case letters, digits and hyphens, at most 30
    /// characters, a letter first.
    #[schemars(extend("x-disagg" = required(Replace).import(Id), "format" = "name"))]
    pub name: Attr<String>,

    /// The `id` of the service whose router the workers register with.
    #[schemars(extend("x-disagg" = required(Replace).import(Id), "format" = "service-id"))]
    pub service_id: Attr<String>,

    /// `prefill`, `decode`, or `worker` for workers that do both.
    #[schemars(extend("x-disagg" = required(Rolling).import(UserData), "enum" = ["prefill", "decode", "worker"]))]
    pub role: Attr<String>,

    /// How many machines. Give either this or `scaling`. A lost machine shows as a smaller number.
    #[schemars(extend("x-disagg" = optional(InPlace).import(Tag), "minimum" = 0, "maximum" = 10000))]
    pub replicas: Attr<i64>,

    /// Nothing scales by itself yet: these are the bounds that the number of machines is kept within, and
    /// the group begins with the smallest. No apply moves a count that is inside them, whoever has set it.
    /// Give either this or `replicas`.
    #[schemars(extend("x-disagg" = optional(InPlace).import(Tag)))]
    pub scaling: Attr<Scaling>,

    /// What each machine must have.
    #[schemars(extend("x-disagg" = optional(Rolling).import(UserData)))]
    pub resources: Attr<Resources>,

    /// What runs on each machine.
    #[schemars(extend("x-disagg" = required(Rolling).import(UserData)))]
    pub engine: Attr<Engine>,

    /// Environment of the engine's processes.
    #[schemars(extend("x-disagg" = optional(Rolling).import(UserData), "format" = "environment"))]
    pub env: Attr<BTreeMap<String, Attr<String>>>,

    /// Secrets in the engine's environment: name → reference (`aws-sm://…`, `aws-ssm://…`,
    /// `gcp-sm://…`, `azure-kv://…`, `env://NAME` on the local cloud). The machine resolves them
    /// with its own identity; the value never enters configuration, plan, state or user data.
    #[schemars(extend("x-disagg" = optional(Rolling).import(UserData), "format" = "secret-environment"))]
    pub secret_env: Attr<BTreeMap<String, Attr<String>>>,

    /// The identity of the machines in their cloud: an instance profile (AWS), a service account
    /// (Google Cloud) or a managed identity (Azure).
    #[schemars(extend("x-disagg" = optional(Rolling).import(UserData)))]
    pub identity: Attr<String>,

    /// The machine image, by its id in the cloud, as in `ami-0123456789abcdef0`; for the engine's own
    /// image see `engine.image`. By default the cloud's newest image for such machines, with drivers
    /// and fabric where it has GPUs.
    #[schemars(extend("x-disagg" = optional(Rolling).import(UserData), "format" = "word"))]
    pub image: Attr<String>,

    /// How the machines are bought: `on-demand`, which is the default, `spot`, which the cloud takes back
    /// when it wants them, or `capacity-block`, out of the block that `reservation` names.
    #[schemars(extend("x-disagg" = optional(Rolling).import(UserData), "enum" = ["on-demand", "spot", "capacity-block"]))]
    pub market: Attr<String>,

    /// The reservation that the machines are taken out of, by its id, as in `cr-0123456789abcdef0`. Its
    /// fleet has `placement = "zone"`, because what is reserved is where it is.
    #[schemars(extend("x-disagg" = optional(Rolling).import(UserData), "format" = "word"))]
    pub reservation: Attr<String>,

    /// How the machines reach the internet, for what they install: `subnet`, which is the default, as their
    /// subnet leads, or `public_ip`, each by a public address of its own, which goes with it: on AWS an
    /// Elastic IP, for machines with several network cards in a subnet without NAT. Only on AWS.
    #[schemars(extend("x-disagg" = optional(Rolling).import(UserData), "enum" = ["subnet", "public_ip"]))]
    pub egress: Attr<String>,

    /// Raise it to roll the group over to machines with the provider's newest scripts.
    #[schemars(extend("x-disagg" = optional(Rolling).default(0).import(UserData), "minimum" = 0, "maximum" = 1_000_000))]
    pub boot_revision: Attr<i64>,

    /// How a change of what is baked into the machines is rolled out: they are replaced batch by
    /// batch, and the next batch comes only when the one before it has registered (with `wait_for =
    /// "running"`, when it runs). Without it the group goes on serving: see `max_unavailable`.
    #[schemars(extend("x-disagg" = optional(ProviderOnly)))]
    pub update_strategy: Attr<UpdateStrategy>,

    /// How long a machine that is to go may take to end the answers that run on it. The router chooses it no
    /// longer, and it goes when nothing runs on it any more, or when this time is over. With `0s` nothing is
    /// waited for. At most `24h`.
    #[schemars(extend("x-disagg" = optional(ProviderOnly).default("10m"), "format" = "drain-timeout"))]
    pub drain_timeout: Attr<String>,

    /// `ready` waits until the workers have registered with the router, `running` only until the
    /// cloud says that the machines run, also in a roll, which then goes on although they may not serve.
    #[schemars(extend("x-disagg" = optional(ProviderOnly).default("ready"), "enum" = ["ready", "running"]))]
    pub wait_for: Attr<String>,

    /// What becomes of a machine whose boot failed: `remove` it, or `keep` it for inspection, until the next
    /// apply puts another in its place.
    #[schemars(extend("x-disagg" = optional(ProviderOnly).default("remove"), "enum" = ["remove", "keep"]))]
    pub on_boot_failure: Attr<String>,

    /// How many machines there are, without those that are draining.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub instance_count: Attr<i64>,

    /// The machines, by slot number.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub members: Attr<BTreeMap<String, Member>>,

    /// The instance type. In the plan when only one fits, after the apply otherwise.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub instance_type: Attr<String>,

    /// The machine image that the machines were made from. New ones are made from it too, until a roll
    /// takes the newest. None on the local cloud.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub image_id: Attr<String>,

    /// The fabric for KV transfer: `efa`, `infiniband`, …; `host` inside one computer, `tcp` when there is
    /// none.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub interconnect: Attr<String>,

    /// The price of the whole group in US dollars an hour, at the present count: the catalogue's
    /// estimate.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub hourly_cost: Attr<f64>,

    /// The price of the group at the smallest count that `scaling` allows, without it at `replicas`,
    /// on the cheapest machines that fit. Known in the first plan.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub minimum_hourly_cost: Attr<f64>,

    /// The price of the group at the greatest count that `scaling` allows, without it at `replicas`,
    /// on the most expensive machines that fit, without what a roll adds for a while. Known in the first plan.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub maximum_hourly_cost: Attr<f64>,

    /// The version of the boot scripts that the machines are made with. A new provider never
    /// changes it; raise `boot_revision` for that.
    #[schemars(extend("x-disagg" = computed().import(UserData)))]
    pub script_version: Attr<i64>,

    /// What in the cloud is not as it was made (object → finding). Always planned empty, so that a
    /// finding is a visible change.
    #[schemars(extend("x-disagg" = computed()))]
    pub drift: Attr<BTreeMap<String, String>>,

    /// How long each operation may take. By default 90 minutes to create and to change, 5 to look, 30 to remove.
    #[schemars(extend("x-disagg" = optional(ProviderOnly)))]
    pub timeouts: Attr<Timeouts>,
}

/// How a change of what is baked into the machines is rolled out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateStrategy {
    /// How many of the machines may be missing at a time. Left out, it is one at a time, and the last
    /// one that serves goes only when its successor does, for which one machine more is launched. With as
    /// many as there are the roll is one batch, and the group does not serve meanwhile.
    #[schemars(extend("x-disagg" = optional(ProviderOnly), "minimum" = 0, "maximum" = 10000))]
    pub max_unavailable: Attr<i64>,

    /// How many machines there may be beyond the count, so that new ones are ready before old ones
    /// go. They are paid for meanwhile, and the zone must have them.
    #[schemars(extend("x-disagg" = optional(ProviderOnly).default(0), "minimum" = 0, "maximum" = 10000))]
    pub max_surge: Attr<i64>,
}

/// The bounds of the number of machines. Nothing moves it inside them by itself yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scaling {
    /// The smallest number of machines; the group starts with it.
    #[schemars(extend("x-disagg" = required(InPlace).import(Tag), "minimum" = 0, "maximum" = 10000))]
    pub min: Attr<i64>,

    /// The greatest number of machines.
    #[schemars(extend("x-disagg" = required(InPlace).import(Tag), "minimum" = 1, "maximum" = 10000))]
    pub max: Attr<i64>,

    /// What is measured: `rps`, requests a second.
    #[schemars(extend("x-disagg" = optional(InPlace).default("rps").import(Tag), "enum" = ["rps"]))]
    pub metric: Attr<String>,

    /// The value of the metric that one machine is to carry; more than 0, and a million million at most.
    #[schemars(extend("x-disagg" = required(InPlace).import(Tag), "exclusiveMinimum" = 0, "maximum" = 1e12))]
    pub target: Attr<f64>,
}

/// What a machine must have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// Its GPUs: `H200` is exactly one, `H200:8` exactly eight, `H200:4..8` a range. On the local cloud
    /// they are simulated, or with `local.gpus = "detected"` in the provider's block those of this computer.
    #[schemars(extend("x-disagg" = optional(Rolling).import(UserData), "format" = "gpu"))]
    pub gpu: Attr<String>,

    /// Virtual CPUs, at least.
    #[schemars(extend("x-disagg" = optional(Rolling).import(UserData), "minimum" = 1, "maximum" = 1024))]
    pub cpu: Attr<i64>,

    /// Main memory in GB, at least.
    #[schemars(extend("x-disagg" = optional(Rolling).import(UserData), "minimum" = 1, "maximum" = 65536))]
    pub memory_gb: Attr<i64>,

    /// Root disk in GB. Without it 200.
    #[schemars(extend("x-disagg" = optional(Rolling).import(UserData), "minimum" = 10, "maximum" = 65536))]
    pub disk_gb: Attr<i64>,
}

/// What runs on each machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Engine {
    /// `sglang`, `vllm`, `trtllm`, `mocker` (no GPU, for trials and tests) or `custom`, which runs
    /// `commands`.
    #[serde(rename = "type")]
    #[schemars(extend("x-disagg" = required(Rolling).import(UserData), "format" = "engine"))]
    pub kind: Attr<String>,

    /// GPUs per engine process; all GPUs of the machine by default. A machine runs as many engine
    /// processes as fit.
    #[schemars(extend("x-disagg" = optional(Rolling).import(UserData), "minimum" = 1, "maximum" = 1024))]
    pub tensor_parallel: Attr<i64>,

    /// More arguments for the engine, after the provider's own.
    #[schemars(extend("x-disagg" = optional(Rolling).import(UserData)))]
    pub args: Attr<Vec<Attr<String>>>,

    /// The model to load, when it is not the service's: a path on the image or another copy.
    #[schemars(extend("x-disagg" = optional(Rolling).import(UserData), "format" = "engine-model"))]
    pub model: Attr<String>,

    /// The container image, when it is not NVIDIA's for the service's version.
    #[schemars(extend("x-disagg" = optional(Rolling).import(UserData)))]
    pub image: Attr<String>,

    /// `container` or `venv`; by default `container` for GPU engines and `venv` for the others. On the local
    /// cloud a GPU engine runs with `venv` too: in a virtual environment that is there already, see
    /// `local.engine_runtimes` of the provider.
    #[schemars(extend("x-disagg" = optional(Rolling).import(UserData), "enum" = ["container", "venv"]))]
    pub runtime: Attr<String>,

    /// The commands of a `custom` engine, run in order in one bash.
    #[schemars(extend("x-disagg" = optional(Rolling).import(UserData)))]
    pub commands: Attr<Vec<Attr<String>>>,
}

/// One machine of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// Its id in the cloud.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub id: String,

    /// Its address in the fleet.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub address: String,

    /// Its state: `pending`, `running`, `impaired`, `stopping`, `stopped`, `refused` when it runs and the router
    /// sends it no request, or `draining` when it is on its way out.
    #[schemars(extend("x-disagg" = computed().import(Cloud)))]
    pub state: String,

    /// The digest of what is baked into it.
    #[schemars(extend("x-disagg" = computed().import(Tag)))]
    pub digest: String,
}

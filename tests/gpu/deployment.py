"""A service on the GPUs of this computer, made by Terraform as a user would make it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass, field, replace
from pathlib import Path

MODEL = "disagg/random"


class Failed(Exception):
    """A step did not come out as it must."""


@dataclass(frozen=True)
class Engine:
    """An engine that is there."""

    name: str
    #: `venv` or `container`.
    runtime: str
    #: The virtual environment, when it is not the cache's runtime.
    environment: Path | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Shape:
    """What is to be there."""

    prefill: int = 1
    decode: int = 1
    #: Changes what decode machines are made of.
    revision: int = 0
    #: Arguments of all groups, by which workers are told what they have to agree on.
    agreed: tuple[str, ...] = ()
    #: Arguments of one more decode group, of one machine; none, and it is not there.
    stranger: tuple[str, ...] = ()


@dataclass
class Deployment:
    """One service with one engine, in a directory of its own."""

    directory: Path
    provider: Path
    engine: Engine
    gpu: str
    #: Whether there are GPUs for more machines than those of the service.
    has_spare: bool = False
    shape: Shape = Shape()

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        # The provider as it was built: nothing is installed, and so nothing is downloaded.
        overrides = self.directory / "provider"
        overrides.mkdir(exist_ok=True)
        binary = overrides / "terraform-provider-disagg"
        if not binary.exists():
            binary.symlink_to(self.provider.resolve())
        (self.directory / "terraform.rc").write_text(
            f'provider_installation {{\n  dev_overrides {{ "disagg/disagg" = "{overrides}" }}\n  direct {{}}\n}}\n'
        )

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
        return kept | {
            "TF_CLI_CONFIG_FILE": str(self.directory / "terraform.rc"),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            "DISAGG_STATE_DIRECTORY": str(self.directory / "cloud"),
        }

    def apply(self, shape: Shape) -> None:
        """Makes the service be of this shape."""
        self._write(shape)
        self._terraform("apply", "-auto-approve")

    def apply_fails(self, shape: Shape) -> str:
        """What an apply says that does not come to its end."""
        self._write(shape)
        return self._terraform("apply", "-auto-approve", codes=(1,)).stderr

    def apply_again(self) -> None:
        self.apply(self.shape)

    def destroy(self) -> None:
        self._terraform("destroy", "-auto-approve")

    def has_changes(self) -> bool:
        """Whether a plan finds anything to do."""
        return self._terraform("plan", "-detailed-exitcode", codes=(0, 2)).returncode == 2

    def output(self, name: str) -> str:
        return self._terraform("output", "-raw", name).stdout.strip()

    def machines(self, group: str | None = None) -> list[dict]:
        """The machines, or those of one group."""
        listed = json.loads(self.disagg("status", "--json"))
        found = [machine for fleet in listed["fleets"] for machine in fleet["machines"]]
        return [machine for machine in found if group is None or machine["tags"].get("disagg:group") == group]

    def disagg(self, *arguments: str) -> str:
        """The provider's own command."""
        return run([str(self.provider), *arguments], self.environment, self.directory).stdout

    def metrics(self, machine: dict) -> dict[str, float]:
        """What a worker counts, by the name of the family; families of several series are summed up."""
        url = f"http://{machine['address']}:9000/metrics"
        sums: dict[str, float] = {}
        try:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            text = opener.open(url, timeout=10).read().decode()
        except (OSError, urllib.error.URLError) as error:
            raise Failed(f"{url}: {error}") from error
        for line in text.splitlines():
            if line and not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                name = series.partition("{")[0]
                sums[name] = sums.get(name, 0.0) + float(value)
        return sums

    def logs(self) -> str:
        """The last words of every machine."""
        text = []
        for machine in self.machines():
            journal = self.disagg("local", "journal", machine["id"]).splitlines()
            journal = [line for line in journal if "http response sent status=200" not in line]
            text.append(f"--- {machine['id']} {machine['tags'].get('disagg:group', 'router')}")
            text.extend(line[:240] for line in journal[-20:])
        return "\n".join(text)

    def _write(self, shape: Shape) -> None:
        self.shape = shape
        (self.directory / "main.tf").write_text(self.hcl())

    def _terraform(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        command = ["terraform", arguments[0], "-no-color", *arguments[1:]]
        if arguments[0] in ("apply", "plan", "destroy"):
            command.insert(3, "-input=false")
        return run(command, self.environment, self.directory, codes)

    def hcl(self) -> str:
        runtimes = ""
        if self.engine.environment:
            runtimes = f"\n    engine_runtimes = {{ {self.engine.name} = {text(str(self.engine.environment))} }}"
        groups = self._group("prefill", "prefill", self.shape.prefill) + self._group("decode", "decode", self.shape.decode)
        if self.shape.stranger:
            groups += self._group("stranger", "decode", 1, self.shape.stranger)
        return f"""\
terraform {{
  required_providers {{
    disagg = {{ source = "disagg/disagg" }}
  }}
}}

provider "disagg" {{
  local = {{
    gpus = "detected"{runtimes}
  }}
}}

resource "disagg_fleet" "gpu" {{
  name  = "gpu"
  cloud = "local"
}}

resource "disagg_service" "random" {{
  name     = "random"
  fleet_id = disagg_fleet.gpu.id
  model    = "{MODEL}"
}}
{groups}
resource "disagg_endpoint" "random" {{
  service_id = disagg_service.random.id
  group_ids  = [disagg_replica_group.prefill.id, disagg_replica_group.decode.id]
}}

output "url" {{
  value = disagg_endpoint.random.url
}}
"""

    def _group(self, name: str, role: str, count: int, more: tuple[str, ...] = ()) -> str:
        env = dict(self.engine.env)
        if role == "decode":
            env["GPU_TEST_REVISION"] = str(self.shape.revision)
        variables = "".join(f"\n    {name} = {text(value)}" for name, value in sorted(env.items()))
        args = ", ".join(text(arg) for arg in (*self.engine.args, *self.shape.agreed, *more))
        # Without a GPU for a machine more a roll takes the old one first; with one it does as by default.
        strategy = "" if self.has_spare else "\n  update_strategy = { max_unavailable = 1, max_surge = 0 }"
        return f"""
resource "disagg_replica_group" "{name}" {{
  name       = "{name}"
  service_id = disagg_service.random.id
  role       = "{role}"
  replicas   = {count}
  resources  = {{ gpu = "{self.gpu}" }}
  engine = {{
    type    = "{self.engine.name}"
    runtime = "{self.engine.runtime}"
    args    = [{args}]
  }}
  env = {{{variables}
  }}{strategy}
  on_boot_failure = "{"remove" if more else "keep"}"
  timeouts        = {{ create = "9m", update = "9m", delete = "5m" }}
}}
"""


def text(value: str) -> str:
    """A string of HCL."""
    return json.dumps(value).replace("${", "$${").replace("%{", "%%{")


def run(
    command: list[str], environment: dict[str, str], directory: Path, codes: tuple[int, ...] = (0,)
) -> subprocess.CompletedProcess[str]:
    """Runs a program, which has to end with one of these codes."""
    done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        said = (done.stdout + done.stderr).strip()[-4000:]
        raise Failed(f"{' '.join(command[:3])} ended with {done.returncode}:\n{said}")
    return done


def changed(shape: Shape, **what: object) -> Shape:
    return replace(shape, **what)


def which(program: str) -> bool:
    return shutil.which(program) is not None

"""A whole deployment on the local cloud, with the real Dynamo: how soon it answers, and what an apply
adds to the time that its machines need.

What is ready when is not asked of the provider: an observer beside it reads the machines' records and
asks the router, every few milliseconds.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from figures import Row, median, seconds
from processes import Failed, alternate
from providers import Provider
from terraform import APPLY, DESTROY, Workspace

FIRST_CHAT = ("local cloud, warm cache: first chat after apply starts", 5.0)
SEQUENTIAL = ("apply / (router ready + slowest worker ready), sequential", 1.10)
OVERLAPPED = ("apply / slowest machine ready, overlapped", 1.10)
TITLES = (FIRST_CHAT, SEQUENTIAL, OVERLAPPED)

ROUNDS = 5
PORT = 8000
LOOK_EVERY = 0.005

DEPLOYMENT = """
resource "disagg_fleet" "bench" {
  name  = "bench"
  cloud = "local"
}

resource "disagg_service" "bench" {
  name     = "bench"
  fleet_id = disagg_fleet.bench.id
  model    = "disagg/tiny"
  boot     = "@BOOT@"
}

resource "disagg_replica_group" "bench" {
  for_each   = { prefill = 1, decode = 1 }
  name       = each.key
  service_id = disagg_service.bench.id
  role       = each.key
  replicas   = each.value
  engine     = { type = "mocker" }
}

resource "disagg_endpoint" "bench" {
  service_id = disagg_service.bench.id
  group_ids  = [for group in disagg_replica_group.bench : group.id]
}
"""


#: The same without an endpoint, on machines that are records: what Terraform and the provider take.
RECORDS = DEPLOYMENT.partition('resource "disagg_endpoint"')[0].replace("@BOOT@", "overlap").replace(
    '  name     = "bench"', '  name     = "bench"\n  wait_for = "running"'
).replace("  name       = each.key", '  name       = each.key\n  wait_for   = "running"')


@dataclass
class Machine:
    """What the observer has seen of a machine; times in seconds since 1970."""

    address: str
    is_router: bool
    launched_at: float
    ready_at: float | None = None

    @property
    def boot(self) -> float:
        if self.ready_at is None:
            raise Failed(f"the observer never saw {self.address} ready")
        return self.ready_at - self.launched_at


@dataclass
class Deployment:
    """One apply: its wall time, the first chat after its start, and the machines."""

    wall: float
    first_chat: float
    machines: list[Machine]

    @property
    def router(self) -> float:
        return next(machine.boot for machine in self.machines if machine.is_router)

    @property
    def slowest_worker(self) -> float:
        return max(machine.boot for machine in self.machines if not machine.is_router)

    @property
    def slowest(self) -> float:
        return max(machine.boot for machine in self.machines)


def rows(directory: Path, ours: Provider) -> list[Row]:
    boots = {
        boot: Workspace(directory / boot, DEPLOYMENT.replace("@BOOT@", boot), ours)
        for boot in ("sequential", "overlap")
    }
    records = Workspace(directory / "records", RECORDS, ours)
    floor = median(alternate(ROUNDS, {"records": records}, wall_of_records)["records"])
    taken = alternate(ROUNDS, boots, deployed)
    sequential, overlapped = taken["sequential"], taken["overlap"]
    chats = {boot: median(one.first_chat for one in all_of_it) for boot, all_of_it in taken.items()}
    needed = [one.router + one.slowest_worker for one in sequential]
    return [
        Row(FIRST_CHAT[0], seconds(chats["sequential"]), "-", chats["sequential"], FIRST_CHAT[1], form="{:.2f} s",
            notes=[f"overlapped: {seconds(chats['overlap'])}"]),
        Row(SEQUENTIAL[0], seconds(median(one.wall for one in sequential)), seconds(median(needed)),
            median(one.wall / need for one, need in zip(sequential, needed)), SEQUENTIAL[1],
            notes=[_split(sequential), f"apply without machines behind it takes {seconds(floor)}, and boots are short here"]),
        Row(OVERLAPPED[0], seconds(median(one.wall for one in overlapped)),
            seconds(median(one.slowest for one in overlapped)),
            median(one.wall / one.slowest for one in overlapped), OVERLAPPED[1], notes=[_split(overlapped)]),
    ]


def wall_of_records(workspace: Workspace) -> float:
    """Wall time of an apply whose machines are records."""
    workspace.forget()
    workspace.state_directory.mkdir(mode=0o700)
    (workspace.state_directory / "faults.json").write_text('{ "no_processes": true }')
    return workspace.terraform(*APPLY).wall


def deployed(workspace: Workspace) -> Deployment:
    """Applies, watches, and destroys again."""
    workspace.state_directory.mkdir(mode=0o700, exist_ok=True)
    observer = Observer(workspace.state_directory)
    began = time.time()
    observer.start()
    try:
        usage = workspace.terraform(*APPLY)
        observer.finish()
    finally:
        observer.stop()
        workspace.terraform(*DESTROY)
    assert observer.first_chat_at is not None, "an observer that finishes has seen a chat"
    return Deployment(usage.wall, observer.first_chat_at - began, list(observer.machines.values()))


def _split(deployments: list[Deployment]) -> str:
    router = median(one.router for one in deployments)
    worker = median(one.slowest_worker for one in deployments)
    return f"router ready {seconds(router)} after its launch, the slowest worker {seconds(worker)} after its own"


@dataclass
class Observer:
    """Looks at a deployment from outside while it comes up."""

    state_directory: Path
    machines: dict[str, Machine] = field(default_factory=dict)
    first_chat_at: float | None = None
    error: Exception | None = None

    def start(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Waits until everything has been seen; an apply that has ended has shown it all."""
        self._thread.join(timeout=10)
        if self.error:
            raise self.error
        if not self._complete:
            raise Failed(f"apply has ended, and the observer has not seen all: {self}")

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def _complete(self) -> bool:
        return self.first_chat_at is not None and all(
            machine.ready_at is not None for machine in self.machines.values()
        )

    def _watch(self) -> None:
        try:
            while not self._complete and not self._ended.wait(LOOK_EVERY):
                self._look()
        except Exception as error:  # Whoever waits for this thread raises it.
            self.error = error

    def _look(self) -> None:
        for path in (self.state_directory / "machines").glob("m-*/machine.json"):
            if path.parent.name not in self.machines:
                self._note(path)
        router = next((machine for machine in self.machines.values() if machine.is_router), None)
        if router is None:
            return
        if any(machine.ready_at is None for machine in self.machines.values()):
            self._ask_health(router)
        if router.ready_at is not None and self.first_chat_at is None and self._chat(router):
            self.first_chat_at = time.time()

    def _note(self, path: Path) -> None:
        record = json.loads(path.read_text())
        # Written once, just before the machine is there.
        launched_at = (path.parent / "user-data").stat().st_mtime
        is_router = "disagg:group" not in record["tags"]
        self.machines[path.parent.name] = Machine(record["ip"], is_router, launched_at)

    def _ask_health(self, router: Machine) -> None:
        answer = _request(router.address, "GET", "/health", None)
        if answer is None or answer[0] != 200:
            return
        now = time.time()
        router.ready_at = router.ready_at or now
        engines = json.loads(answer[1]).get("instances", [])
        registered = {
            (engine.get("transport", {}).get("tcp") or "").partition(":")[0]
            for engine in engines
            if engine["endpoint"] == "generate"
        }
        for machine in self.machines.values():
            if machine.address in registered:
                machine.ready_at = machine.ready_at or now

    def _chat(self, router: Machine) -> bool:
        question = {"model": "disagg/tiny", "max_tokens": 1, "messages": [{"role": "user", "content": "ping"}]}
        answer = _request(router.address, "POST", "/v1/chat/completions", question)
        return answer is not None and answer[0] == 200


def _request(address: str, method: str, path: str, body: Any) -> tuple[int, bytes] | None:
    """Status and body of the answer; nothing when nobody answers."""
    connection = http.client.HTTPConnection(address, PORT, timeout=5)
    try:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()

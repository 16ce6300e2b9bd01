"""Calls and time on a simulated AWS, whose machines tell that they have booted after seconds that the
settings say: how many calls a refresh and a deployment cost, and what they add to the boots.

The API answers in microseconds, so time is that of the waits, of the provider and of Terraform.
"""

from __future__ import annotations

import json
import math
import subprocess
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from figures import Row, seconds
from providers import Provider
from terraform import APPLY, PLAN, Workspace

REFRESH = ("AWS: refresh of N machines, calls beyond ceil(N/1000)", 2.0)
CALLS = ("AWS: calls of 1 router + 4 prefill + 8 decode, without consoles", 20.0)
MUTATING = ("AWS: mutating calls of 10 times the workers / of these", 1.0)
SEQUENTIAL = ("AWS: apply / (router's + workers' boot), sequential", 1.10)
OVERLAPPED = ("AWS: apply / slowest boot, overlapped", 1.10)
THROTTLED = ("AWS: 100 workers with EC2's token buckets: apply / boot", 1.15)
TITLES = (REFRESH, CALLS, MUTATING, SEQUENTIAL, OVERLAPPED, THROTTLED)

#: Seconds from launch to running, and from there to a router that serves and a worker that has registered.
BOOT, SERVES, REGISTERS = 17.0, 0.1, 0.3
FLEETS = (1, 13, 100, 1000, 1001)

FLEET = """
resource "disagg_fleet" "bench" {
  name  = "bench"
  cloud = "aws"
  zone  = "us-east-2a"
}
"""
SERVICE = """
resource "disagg_service" "bench" {
  name     = "bench"
  fleet_id = disagg_fleet.bench.id
  model    = "disagg/tiny"
  boot     = "@BOOT@"
}
"""
GROUP = """
resource "disagg_replica_group" "@ROLE@" {
  name       = "@ROLE@"
  service_id = disagg_service.bench.id
  role       = "@ROLE@"
  replicas   = @COUNT@
  engine     = { type = "mocker" }
}
"""


@dataclass
class Region:
    """A simulated AWS that is running."""

    environment: dict[str, str]

    def calls(self) -> dict[str, int]:
        with urllib.request.urlopen(self.environment["AWS_ENDPOINT_URL"] + "/_cloudsim/calls") as answer:
            return json.load(answer)


@contextmanager
def region(program: Path, directory: Path, **settings: object) -> Iterator[Region]:
    directory.mkdir(parents=True)
    (directory / "settings.json").write_text(json.dumps({"datacentre": {"end_seconds": 0.1} | settings}))
    process = subprocess.Popen(
        [program, directory / "settings.json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Region(json.loads(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.wait()


class Deployment:
    """A fleet that is there, and what is put into it."""

    def __init__(self, directory: Path, ours: Provider, aws: Region) -> None:
        self.aws = aws
        self.workspace = Workspace(directory, FLEET, ours, more_environment=aws.environment)
        self.header = (directory / "main.tf").read_text()
        self.workspace.terraform(*APPLY)

    def write(self, boot: str, prefill: int, decode: int) -> None:
        groups = [("prefill", prefill), ("decode", decode)]
        text = self.header + SERVICE.replace("@BOOT@", boot)
        for role, count in groups:
            text += GROUP.replace("@ROLE@", role).replace("@COUNT@", str(count))
        (self.workspace.directory / "main.tf").write_text(text)

    def run(self, *arguments: str) -> tuple[float, dict[str, int]]:
        """Wall time and calls of a command."""
        before = self.aws.calls()
        usage = self.workspace.terraform(*arguments)
        after = self.aws.calls()
        return usage.wall, {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}


def rows(directory: Path, ours: Provider, program: Path) -> list[Row]:
    return [
        refresh(directory / "refresh", ours, program),
        *creation(directory / "creation", ours, program),
        throttled(directory / "throttled", ours, program),
    ]


def refresh(directory: Path, ours: Provider, program: Path) -> Row:
    beyond = {}
    for machines in FLEETS:
        with region(program, directory / str(machines)) as aws:
            deployment = Deployment(directory / str(machines) / "work", ours, aws)
            workers = machines - 1
            deployment.write("sequential", workers // 3, workers - workers // 3)
            deployment.run(*APPLY)
            _, calls = deployment.run(*PLAN)
            beyond[machines] = sum(calls.values()) - math.ceil(machines / 1000)
    most = max(beyond.values())
    listed = ", ".join(f"{machines}: {more}" for machines, more in beyond.items())
    return Row(REFRESH[0], str(most), "-", float(most), REFRESH[1], form="{:.0f}", notes=[listed])


def creation(directory: Path, ours: Provider, program: Path) -> list[Row]:
    walls, counts = {}, {}
    for boot in ("sequential", "overlap"):
        with region(program, directory / boot, boot_seconds=BOOT) as aws:
            deployment = Deployment(directory / boot / "work", ours, aws)
            deployment.write(boot, 4, 8)
            _, planned = deployment.run(*PLAN)
            walls[boot], calls = deployment.run(*APPLY)
            counts[boot] = {name: count - planned.get(name, 0) for name, count in calls.items()}
    with region(program, directory / "many") as aws:
        deployment = Deployment(directory / "many" / "work", ours, aws)
        deployment.write("sequential", 40, 80)
        _, many = deployment.run(*APPLY)
    consoles = counts["sequential"].pop("GetConsoleOutput", 0)
    calls = sum(counts["sequential"].values())
    few = mutating(counts["sequential"])
    paths = {"sequential": 2 * BOOT + SERVES + REGISTERS, "overlap": BOOT + REGISTERS}
    return [
        Row(CALLS[0], str(calls), "-", float(calls), CALLS[1], form="{:.0f}", notes=[
            f"beside the refresh of its plan; {consoles} reads of consoles, for nobody here reaches the router; "
            + ", ".join(f"{name} {count}" for name, count in sorted(counts["sequential"].items()) if count)
        ]),
        Row(MUTATING[0], str(mutating(many)), str(few), mutating(many) / few, MUTATING[1]),
        *(
            Row(title, seconds(walls[boot]), seconds(paths[boot]), walls[boot] / paths[boot], goal)
            for boot, (title, goal) in (("sequential", SEQUENTIAL), ("overlap", OVERLAPPED))
        ),
    ]


def throttled(directory: Path, ours: Provider, program: Path) -> Row:
    with region(program, directory, boot_seconds=BOOT, throttles=True) as aws:
        deployment = Deployment(directory / "work", ours, aws)
        deployment.write("overlap", 34, 66)
        wall, calls = deployment.run(*APPLY)
    path = BOOT + REGISTERS
    refused = calls.get("throttled", 0)
    return Row(THROTTLED[0], seconds(wall), seconds(path), wall / path, THROTTLED[1],
               notes=[f"{refused} calls were throttled, and none of them was an error"])


def mutating(calls: dict[str, int]) -> int:
    return sum(count for name, count in calls.items() if not name.startswith(("Describe", "Get", "throttled")))

"""Plans: what one resource costs, and a thousand groups."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from figures import Row, median, median_ratio, milliseconds, seconds
from processes import alternate
from providers import Provider
from terraform import PLAN, Workspace

OWNED = ("plan of one resource, CPU of the provider", 0.35)
WHOLE = ("plan of one resource, (ours - D) / (W - D)", 0.5)
THOUSAND = ("plan of 1,000 groups, whole command", 2.0)
SHARE = ("plan of 1,000 groups, the provider's share", 0.20)

ONE = 'resource "disagg_fleet" "one" {\n  name  = "one"\n  cloud = "local"\n}\n'
ONE_OF_THEIRS = """
provider "workato" {
  api_key  = "none"
  base_url = "https://127.0.0.1:9"
}

resource "workato_project" "one" {
  name = "one"
}
"""
ONE_OF_NOBODY = 'resource "terraform_data" "one" {\n  input = "one"\n}\n'

GROUPS = """
resource "disagg_replica_group" "group" {
  count      = 1000
  name       = "group-${count.index}"
  service_id = "local/local/bench/service@aaaaaaaa"
  role       = "worker"
  replicas   = 2
  engine     = { type = "mocker" }
  env        = { NAME = "group-${count.index}", LEVEL = "info" }
}
"""


def one_resource(directory: Path, ours: Provider, theirs: Provider) -> tuple[list[Row], dict[str, str]]:
    """The rows of one resource, and what Terraform tells a plugin in its environment."""
    whole = {
        "ours": Workspace(directory / "ours", ONE, ours),
        "theirs": Workspace(directory / "theirs", ONE_OF_THEIRS, theirs),
        "nobody": Workspace(directory / "nobody", ONE_OF_NOBODY),
    }
    shimmed = {
        "ours": Workspace(directory / "ours-shimmed", ONE, ours, shimmed=True),
        "theirs": Workspace(directory / "theirs-shimmed", ONE_OF_THEIRS, theirs, shimmed=True),
    }
    handshake: dict[str, str] = {}
    starts: dict[str, int] = {}

    def owned_by(workspace: Workspace) -> float:
        runs = plan_behind_shim(workspace)
        handshake.update(runs[-1]["handshake"])
        starts[workspace.directory.name] = len(runs)
        return sum(run["cpu"] for run in runs)

    owned = alternate(9, shimmed, owned_by)
    cpu = alternate(11, whole, lambda workspace: workspace.terraform(*PLAN).cpu)
    floor = median(cpu["nobody"])
    over = {name: median(cpu[name]) - floor for name in ("ours", "theirs")}
    of_d = median_ratio(cpu["ours"], cpu["nobody"]), median_ratio(cpu["theirs"], cpu["nobody"])
    return [
        Row(OWNED[0], milliseconds(median(owned["ours"])), f"W {milliseconds(median(owned['theirs']))}",
            median_ratio(owned["ours"], owned["theirs"]), OWNED[1],
            notes=[f"the provider is started {starts['ours-shimmed']} times, W {starts['theirs-shimmed']} times"]),
        Row(WHOLE[0], milliseconds(over["ours"]), f"W {milliseconds(over['theirs'])}",
            over["ours"] / over["theirs"], WHOLE[1],
            notes=[f"D {milliseconds(floor)}; ours is {of_d[0]:.2f} x D, W is {of_d[1]:.2f} x D"]),
    ], handshake


def thousand_groups(directory: Path, ours: Provider) -> list[Row]:
    groups = Workspace(directory / "ours", GROUPS, ours)
    shimmed = Workspace(directory / "ours-shimmed", GROUPS, ours, shimmed=True)
    payload = groups.planned_values()[0]
    nobody = Workspace(directory / "nobody", _same_payload(payload))
    taken = alternate(7, {"ours": groups, "nobody": nobody}, lambda workspace: workspace.terraform(*PLAN).cpu)
    owned = [sum(run["cpu"] for run in plan_behind_shim(shimmed)) for _ in range(7)]
    return [
        Row(THOUSAND[0], seconds(median(taken["ours"])), f"D {seconds(median(taken['nobody']))}",
            median_ratio(taken["ours"], taken["nobody"]), THOUSAND[1],
            notes=["D with the same payload: every attribute that our plan knows"]),
        Row(SHARE[0], seconds(median(owned)), f"whole {seconds(median(taken['ours']))}",
            median(owned) / median(taken["ours"]), SHARE[1]),
    ]


def plan_behind_shim(workspace: Workspace) -> list[dict[str, Any]]:
    """What each start of the provider cost in one plan."""
    workspace.terraform(*PLAN)
    return workspace.provider_runs()


def _same_payload(values: dict[str, Any]) -> str:
    """The same values as the input of the builtin resource."""
    payload = json.dumps(values, indent=2).replace("group-0", "group-${count.index}")
    return f'resource "terraform_data" "group" {{\n  count = 1000\n  input = {payload}\n}}\n'

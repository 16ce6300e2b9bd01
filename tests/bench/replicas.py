"""One group of many machines against as many resources of one machine each.

Machines of the local cloud are records only here, so that nothing but Terraform, the provider and the
records is measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from figures import Row, median, median_ratio, seconds
from processes import alternate
from providers import Provider
from terraform import APPLY, DESTROY, PLAN, Workspace

APPLY_CPU = ("1,000 replicas in one group, apply", 0.10)
PLAN_CPU = ("1,000 replicas in one group, no-op plan", 0.25)
STATE = ("state, bytes per machine", 300.0)
APPLY_GROWTH = ("growth exponent 100 to 1,000, apply", 1.1)
PLAN_GROWTH = ("growth exponent 100 to 1,000, no-op plan", 1.1)
TITLES = (APPLY_CPU, PLAN_CPU, STATE, APPLY_GROWTH, PLAN_GROWTH)

GROUP = """
resource "disagg_fleet" "bench" {
  name  = "bench"
  cloud = "local"
}

resource "disagg_service" "bench" {
  name     = "bench"
  fleet_id = disagg_fleet.bench.id
  model    = "disagg/tiny"
  wait_for = "running"
}

resource "disagg_replica_group" "bench" {
  name       = "bench"
  service_id = disagg_service.bench.id
  role       = "worker"
  replicas   = @COUNT@
  engine     = { type = "mocker" }
  wait_for   = "running"
}
"""


def rows(directory: Path, ours: Provider, null: Callable[[], Provider]) -> list[Row]:
    sizes = {count: group_of(directory / f"ours-{count}", ours, count) for count in (1, 100, 1000)}
    small = {str(count): sizes[count] for count in (1, 100)}
    applies = {int(name): taken for name, taken in alternate(7, small, applied, warm_up=False).items()}
    plans = {int(name): taken for name, taken in alternate(7, small, planned).items()}

    theirs = Workspace(
        directory / "theirs", 'resource "null_resource" "machine" {\n  count = 1000\n}\n', null()
    )
    large = {"ours": sizes[1000], "theirs": theirs}
    apply = alternate(3, large, applied, warm_up=False)
    plan = alternate(7, large, planned)
    applies[1000], plans[1000] = apply["ours"], plan["ours"]
    state, their_state = sizes[1000].state_bytes(), theirs.state_bytes()
    for workspace in sizes.values():
        workspace.terraform(*DESTROY)
    return [
        Row(APPLY_CPU[0], seconds(median(apply["ours"])), f"K {seconds(median(apply['theirs']))}",
            median_ratio(apply["ours"], apply["theirs"]), APPLY_CPU[1], notes=["fleet and service included; 3 pairs"]),
        Row(PLAN_CPU[0], seconds(median(plan["ours"])), f"K {seconds(median(plan['theirs']))}",
            median_ratio(plan["ours"], plan["theirs"]), PLAN_CPU[1]),
        Row(STATE[0], f"{state} B", f"K {their_state} B", state / 1000, STATE[1], form="{:.0f}"),
        _growth(APPLY_GROWTH, applies),
        _growth(PLAN_GROWTH, plans),
    ]


def group_of(directory: Path, ours: Provider, count: int) -> Workspace:
    return Workspace(directory, GROUP.replace("@COUNT@", str(count)), ours)


def applied(workspace: Workspace) -> float:
    """CPU of an apply that makes everything, in seconds."""
    workspace.forget()
    workspace.state_directory.mkdir(mode=0o700)
    (workspace.state_directory / "faults.json").write_text('{ "no_processes": true }')
    return workspace.terraform(*APPLY).cpu


def planned(workspace: Workspace) -> float:
    """CPU of a plan that finds nothing to do, in seconds."""
    usage = workspace.terraform(*PLAN, "-detailed-exitcode")
    return usage.cpu


def _growth(title: tuple[str, float], taken: dict[int, list[float]]) -> Row:
    """How the cost of machines grows: what one machine costs is Terraform's start, and taken off."""
    cost = {count: median(values) for count, values in taken.items()}
    exponent = math.log10((cost[1000] - cost[1]) / max(cost[100] - cost[1], 1e-3))
    shown = ", ".join(f"{count}: {cost[count]:.3f} s" for count in sorted(cost))
    return Row(title[0], f"{cost[1000] - cost[1]:.3f} s", f"at 100: {cost[100] - cost[1]:.3f} s", exponent, title[1],
               notes=[f"whole commands: {shown}; the first is taken off the others"])

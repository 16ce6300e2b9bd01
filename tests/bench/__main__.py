"""`make bench`: measures what the README beside this file lists, and prints one table.

It ends with 0 when every row that was asked for was measured, whatever the figures are, and with 1
when one was not.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aws
import deployment
import plans
import rendering
import replicas
import startup
from figures import NotMeasured, Row, table
from processes import Failed
from providers import Provider, null, workato

#: The version that our binary is installed as; only these directories know it.
OUR_VERSION = "0.0.1"


@dataclass(frozen=True)
class Part:
    """Rows that are measured together, with the titles and goals they have when they are not."""

    name: str
    titles: tuple[tuple[str, float], ...]
    measure: Callable[[], list[Row]]


def main() -> int:
    arguments = parse()
    ours = Provider("disagg/disagg", OUR_VERSION, arguments.provider)
    with tempfile.TemporaryDirectory(prefix="disagg-bench-", dir=in_memory()) as name:
        directory = Path(name)
        parts = [
            Part("start", (startup.CPU, startup.MEMORY, plans.OWNED, plans.WHOLE),
                 lambda: against_workato(directory / "one", ours, arguments.cache)),
            Part("groups", (plans.THOUSAND, plans.SHARE), lambda: plans.thousand_groups(directory / "groups", ours)),
            Part("replicas", replicas.TITLES,
                 lambda: replicas.rows(directory / "replicas", ours, lambda: null(arguments.cache))),
            Part("user-data", (rendering.RATE,), lambda: rendering.rows(directory / "user-data", arguments.renderer)),
            Part("deployment", deployment.TITLES, lambda: deployment.rows(directory / "deployment", ours)),
            Part("aws", aws.TITLES, lambda: aws.rows(directory / "aws", ours, arguments.simulated_aws)),
        ]
        unknown = set(arguments.parts) - {part.name for part in parts}
        if unknown:
            sys.exit(f"bench: no part is called {', '.join(unknown)}; there are {', '.join(part.name for part in parts)}")
        print(circumstances(), flush=True)
        rows: list[Row] = []
        for part in parts:
            if not arguments.parts or part.name in arguments.parts:
                rows += measured(part)
    print(f"\n{table(rows)}\n")
    return conclusion(rows)


def in_memory() -> str | None:
    """A directory in memory, where programs may be run and a gigabyte is free: what a disk and its
    file system take for a thousand small files says nothing of a provider."""
    try:
        memory = os.statvfs("/dev/shm")
    except OSError:
        return None
    is_enough = memory.f_bavail * memory.f_frsize >= 1 << 30
    return "/dev/shm" if is_enough and not memory.f_flag & os.ST_NOEXEC else None


def against_workato(directory: Path, ours: Provider, cache: Path) -> list[Row]:
    theirs = workato(cache)
    plan, handshake = plans.one_resource(directory, ours, theirs)
    return startup.rows(ours, theirs, handshake) + plan


def measured(part: Part) -> list[Row]:
    print(f"==> {part.name}", file=sys.stderr, flush=True)
    began = time.monotonic()
    try:
        rows = part.measure()
    except (NotMeasured, Failed) as error:
        print(f"NOT MEASURED: {part.name}: {error}", file=sys.stderr, flush=True)
        why = " ".join(str(error).split())[:300]
        rows = [Row.not_measured(title, goal, why) for title, goal in part.titles]
    print(f"    {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return rows


def conclusion(rows: list[Row]) -> int:
    missing = [row.title for row in rows if row.figure is None]
    behind = [row.title for row in rows if row.behind]
    print(f"{len(rows)} rows: {len(rows) - len(behind) - len(missing)} met, {len(behind)} behind, {len(missing)} NOT MEASURED")
    for title in behind:
        print(f"  behind: {title}")
    for title in missing:
        print(f"  NOT MEASURED: {title}")
    return 1 if missing else 0


def circumstances() -> str:
    load = os.getloadavg()
    return (
        f"{os.cpu_count()} CPUs, load {load[0]:.1f} when it began. CPU times and ratios of runs side by side bear "
        "other work on the machine; wall times do not."
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--provider", type=Path, required=True, help="our provider's binary, a release build")
    parser.add_argument("--renderer", type=Path, required=True, help="the binary `render-user-data`")
    parser.add_argument("--simulated-aws", type=Path, required=True, help="the binary `simulated-aws`")
    parser.add_argument("--cache", type=Path, required=True, help="where the yardsticks are kept")
    parser.add_argument("parts", nargs="*", help="which parts to measure; all without any")
    arguments = parser.parse_args()
    # Terraform starts them in directories of its own.
    arguments.provider, arguments.renderer = arguments.provider.resolve(), arguments.renderer.resolve()
    arguments.simulated_aws = arguments.simulated_aws.resolve()
    for path in (arguments.provider, arguments.renderer, arguments.simulated_aws):
        if not os.access(path, os.X_OK):
            parser.error(f"{path} is no program")
    return arguments


if __name__ == "__main__":
    sys.exit(main())

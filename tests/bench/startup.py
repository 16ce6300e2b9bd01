"""From exec to the handshake line, as Terraform starts a provider: CPU and memory, against W.

The environment is the one that a real Terraform gave a provider behind the shim, its client
certificate included: to answer that is what costs most.
"""

from __future__ import annotations

import os
import select
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from figures import Row, median, median_ratio, milliseconds
from processes import Failed, alternate
from providers import Provider

ROUNDS = 31
CPU = ("exec to handshake, CPU", 0.35)
MEMORY = ("memory at the handshake", 0.55)


@dataclass(frozen=True)
class Start:
    """One start: CPU in seconds, and the most memory until the line in KiB."""

    cpu: float
    peak_kib: int


def rows(ours: Provider, theirs: Provider, handshake: dict[str, str]) -> list[Row]:
    taken = alternate(
        ROUNDS, {"ours": ours.binary, "theirs": theirs.binary}, lambda binary: start(binary, handshake)
    )
    cpu = {name: [one.cpu for one in starts] for name, starts in taken.items()}
    peak = {name: [one.peak_kib / 1024 for one in starts] for name, starts in taken.items()}
    return [
        Row(CPU[0], milliseconds(median(cpu["ours"])), f"W {milliseconds(median(cpu['theirs']))}",
            median_ratio(cpu["ours"], cpu["theirs"]), CPU[1]),
        Row(MEMORY[0], f"{median(peak['ours']):.1f} MiB", f"W {median(peak['theirs']):.1f} MiB",
            median_ratio(peak["ours"], peak["theirs"]), MEMORY[1]),
    ]


def start(binary: Path, handshake: dict[str, str]) -> Start:
    """Starts a provider, waits for its line, looks at what it has used, and ends it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")} | handshake
    output, its_output = os.pipe()
    # Beyond exec everything that the child does counts, and nothing before: `posix_spawn` leaves
    # nothing of Python's memory in it.
    nothing = os.open(os.devnull, os.O_RDWR)
    child = os.posix_spawn(
        binary, [str(binary)], environment,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, nothing, 0),
            (os.POSIX_SPAWN_DUP2, its_output, 1),
            (os.POSIX_SPAWN_DUP2, nothing, 2),
        ],
    )
    os.close(its_output)
    os.close(nothing)
    try:
        _wait_for_line(output, binary)
        return Start(_cpu(child), _peak_kib(child))
    finally:
        os.close(output)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _wait_for_line(output: int, binary: Path) -> None:
    line = b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([output], [], [], 30)
        read = os.read(output, 4096) if readable else b""
        if not read:
            raise Failed(f"{binary} printed no handshake line")
        line += read


def _cpu(process: int) -> float:
    """On the CPU until now, all threads, in seconds, by the process's own clock: times in `/proc` go
    in steps of 10 ms. The clock's number is made as `clock_getcpuclockid` makes it."""
    return time.clock_gettime((~process << 3) | 2)


def _peak_kib(process: int) -> int:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise Failed("the kernel does not tell a process's peak memory")

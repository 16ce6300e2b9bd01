"""Running a program and what it cost: CPU of it and of every process it reaped, wall time, memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Measured = TypeVar("Measured")
Subject = TypeVar("Subject")


@dataclass(frozen=True)
class Usage:
    """What a finished program cost, in seconds. `output` is what it printed, both streams."""

    wall: float
    cpu: float
    output: str


class Failed(Exception):
    """A program that had to succeed did not."""


def run(command: Sequence[str], environment: Mapping[str, str], directory: str | None = None) -> Usage:
    """Runs a program to its end; it has to succeed."""
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, env=dict(environment), cwd=directory,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )
        # `wait4` and not `Popen.wait`: only it tells what this one child cost.
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    if process.returncode != 0:
        raise Failed(f"`{' '.join(command)}` ended with {process.returncode}:\n{text[-4000:]}")
    return Usage(wall, usage.ru_utime + usage.ru_stime, text)


def alternate(
    rounds: int, subjects: Mapping[str, Subject], measure: Callable[[Subject], Measured], warm_up: bool = True
) -> dict[str, list[Measured]]:
    """Measures each subject in turn, round after round (A B A B …), after one round that does not
    count. The n-th figures of all subjects were taken side by side."""
    taken: dict[str, list[Measured]] = {name: [] for name in subjects}
    for round_number in range(rounds + warm_up):
        for name, subject in subjects.items():
            measured = measure(subject)
            if round_number >= warm_up:
                taken[name].append(measured)
    return taken

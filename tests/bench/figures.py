"""Figures and the table: what a row compares, and how it is shown.

Nothing here measures. A row is never judged by more than the word `behind`: the time that something
takes on a busy machine is no reason to fail.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


class NotMeasured(Exception):
    """A row could not be measured; the message says why and what to do."""


@dataclass(frozen=True)
class Row:
    """One line of the table: our figure beside a yardstick's.

    `figure` is what the goal speaks of, by default ours / yardstick; `behind` is whether it misses.
    """

    title: str
    ours: str
    yardstick: str
    figure: float | None
    goal: float
    at_least: bool = False
    form: str = "{:.2f}"
    notes: Sequence[str] = field(default_factory=tuple)
    missing: str | None = None

    @classmethod
    def not_measured(cls, title: str, goal: float, why: str) -> Row:
        return cls(title, "-", "-", None, goal, missing=why)

    @property
    def behind(self) -> bool:
        if self.figure is None:
            return False
        return self.figure < self.goal if self.at_least else self.figure > self.goal

    @property
    def verdict(self) -> str:
        if self.figure is None:
            return "NOT MEASURED"
        return "behind" if self.behind else "met"

    def cells(self) -> list[str]:
        sign = ">=" if self.at_least else "<="
        figure = "-" if self.figure is None else self.form.format(self.figure)
        return [self.title, self.ours, self.yardstick, figure, f"{sign} {self.form.format(self.goal)}", self.verdict]


def table(rows: Iterable[Row]) -> str:
    """The rows in aligned columns, each followed by its notes."""
    rows = list(rows)
    lines = [["row", "ours", "yardstick", "figure", "goal", ""]] + [row.cells() for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    text = [shown[0], "-" * len(shown[0])]
    for row, line in zip(rows, shown[1:]):
        text.append(line)
        text += [f"    {note}" for note in row.notes]
        if row.missing:
            text.append(f"    {row.missing}")
    return "\n".join(text)


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of runs that were made side by side: what disturbs one disturbs both."""
    return median(a / b for a, b in zip(ours, theirs, strict=True))


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"


def seconds(value: float) -> str:
    return f"{value:.2f} s"

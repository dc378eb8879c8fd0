"""A figure as what it shows, whoever draws it: series over two axes, with a title and words."""

from __future__ import annotations

import dataclasses
from typing import Literal, NamedTuple

import numpy as np

from surefoot.reporting.drawing.formatting import number

Kind = Literal["line", "stairs", "points", "crosses", "area", "interval", "bars", "rule"]

#: A style that is the text's color, for references.
PLAIN = -1


class Finding(NamedTuple):
    """Whether something of a run is as it should be."""

    ok: bool
    text: str
    """What was found."""


@dataclasses.dataclass(frozen=True)
class Axis:
    """An axis of a figure."""

    title: str
    """What it measures, with its unit."""
    log: bool = False
    low: float | None = None
    """Where it begins, if not where the data does."""
    high: float | None = None
    """Where it ends, if not where the data does."""
    labels: tuple[str, ...] = ()
    """Words at 0, 1, … instead of numbers."""
    whole: bool = False
    """Whether it counts, and has no ticks between whole numbers."""


@dataclasses.dataclass(frozen=True)
class Series:
    """What belongs together and has a name in the legend.

    A `line` joins its points, `stairs` holds each value until the next; `points` and `crosses` do
    not; an `area` lies on the areas before it; an `interval` is a line with a band from `low` to
    `high`; `bars` are points with bars from `low` to `high`, along x where y has words; a `rule` is
    a dashed line for reference.
    """

    name: str
    kind: Kind
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    style: int = 0
    """Which color, dash and marker."""
    faint: bool = False
    """Whether it lies in the background."""


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure with its words."""

    name: str
    """Unique on a page, a word of ASCII."""
    title: str
    says: str
    """What is seen, and what a bad picture looks like."""
    summary: str
    """What this one shows, in numbers: also for those who cannot see it."""
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    wide: bool = False
    """Whether it takes the page's whole width."""
    rows: int = 0
    """Lines of words along y, which the height makes room for."""
    findings: tuple[Finding, ...] = ()
    """Whether what `says` calls bad is the case, by the same numbers."""
    shows: frozenset[str] = frozenset()
    """The diagnostics that it is of."""

    @property
    def cut_off(self) -> str:
        """A sentence for each end of the y axis that values lie beyond; empty where none do."""
        parts = [one.y for one in self.series if one.kind != "rule"]
        values = np.concatenate([np.zeros(0), *parts])
        values = values[np.isfinite(values)]
        said = []
        if self.y.low is not None and np.any(values < self.y.low):
            said.append(
                f"The axis begins at {number(self.y.low)}; values go down to "
                f"{number(float(values.min()))}."
            )
        if self.y.high is not None and np.any(values > self.y.high):
            said.append(
                f"The axis ends at {number(self.y.high)}; values go up to "
                f"{number(float(values.max()))}."
            )
        return " ".join(said)


def thin(count: int, most: int) -> np.ndarray:
    """At most `most` of the places 0 … count − 1, evenly, with the first and the last."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, most).round().astype(int))

"""Series that are drawn in more than one panel."""

from __future__ import annotations

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import PLAIN, Axis, Series

STEPS = Axis("environment steps")
#: Components of a list that have a line of their own; more are told by their range.
_MOST_LINES = 8


def components(log: Log, name: str) -> list[str]:
    """The columns of a diagnostic: that of its name, or one for each entry of a list, in order."""
    if name in log.columns:
        return [name]
    found = [column for column in log.columns if column.partition(".")[0] == name]
    return sorted(found, key=lambda column: (len(column), column))


def has(log: Log, *names: str) -> bool:
    """Whether the run has a finite number of each of these diagnostics."""
    return all(
        any(np.isfinite(log.columns[column]).any() for column in components(log, name))
        for name in names
    )


def line(log: Log, name: str, label: str, style: int = 0, *, faint: bool = False) -> Series:
    """A diagnostic over the steps."""
    return Series(label, "line", log.columns["steps"], log.columns[name], style=style, faint=faint)


def lines(log: Log, name: str, label: str, style: int = 0) -> tuple[Series, ...]:
    """A diagnostic over the steps: a line, one for each component of a list, or the range of
    many."""
    names = components(log, name)
    if names == [name]:
        return (line(log, name, label, style),)
    if len(names) <= _MOST_LINES:
        return tuple(
            line(log, each, f"{label} {each.partition('.')[2]}", style + place)
            for place, each in enumerate(names)
        )
    values = np.array([log.columns[each] for each in names])
    low, middle, high = values.min(axis=0), np.median(values, axis=0), values.max(axis=0)
    text = f"median and range of {len(names)} {label}s"
    return (Series(text, "interval", log.columns["steps"], middle, low, high, style),)


def level(log: Log, label: str, value: float, style: int = PLAIN) -> Series:
    """A value for reference, from the first step to the last."""
    ends = np.array([log.columns["steps"][0], log.columns["steps"][-1]])
    return Series(label, "rule", ends, np.array([value, value]), style=style)


def positive(values: np.ndarray) -> np.ndarray:
    """Values for a logarithmic axis, which has no place for others."""
    return np.where(values > 0, values, np.nan)


def last(values: np.ndarray) -> float:
    """The last finite one; NaN if there is none."""
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else float("nan")

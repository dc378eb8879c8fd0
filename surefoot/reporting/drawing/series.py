"""Series that are drawn in more than one panel."""

from __future__ import annotations

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import PLAIN, Axis, Series

STEPS = Axis("environment steps")


def has(log: Log, *names: str) -> bool:
    """Whether the run has a finite number of each of these diagnostics."""
    return all(np.isfinite(log.columns.get(name, np.nan)).any() for name in names)


def line(log: Log, name: str, label: str, style: int = 0, *, faint: bool = False) -> Series:
    """A diagnostic over the steps."""
    return Series(label, "line", log.columns["steps"], log.columns[name], style=style, faint=faint)


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

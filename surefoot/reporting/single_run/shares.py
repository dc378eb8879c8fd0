"""Shares of the batch: how much of it an update learned from."""

from __future__ import annotations

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Figure, Finding
from surefoot.reporting.drawing.formatting import percent
from surefoot.reporting.single_run.one_diagnostic import finite_values, one_diagnostic
from surefoot.reporting.single_run.panel import panel


@panel("clip_fraction")
def clipped(log: Log) -> Figure:
    """How many samples the clip holds back."""
    values = finite_values(log, "clip_fraction")
    middle = float(np.median(values))
    told = f"half of the updates clipped {percent(middle)} of samples or more"
    found = Finding(middle <= 0.3, told)
    return one_diagnostic(log, "clip_fraction", low=_zero(values), findings=(found,))


@panel("projected_fraction")
def projected(log: Log) -> Figure:
    """How many samples' gradients the trust region shortens."""
    values = finite_values(log, "projected_fraction")
    middle, most = float(np.median(values)), float(values.max())
    told = f"half of the updates shortened {percent(middle)} of the samples' gradients or more"
    found = Finding(most > 0 and middle <= 0.95, told)
    return _whole(log, "projected_fraction", values, found)


@panel("effective_sample_size")
def effective(log: Log) -> Figure:
    """How much of the batch still speaks for the new policy."""
    values = finite_values(log, "effective_sample_size")
    low = float(np.quantile(values, 0.05))
    told = (
        f"the effective sample size was {percent(low)} of the batch or more in 95 % of iterations"
    )
    return _whole(log, "effective_sample_size", values, Finding(low >= 0.5, told))


def _whole(log: Log, name: str, values: np.ndarray, found: Finding) -> Figure:
    """A share that is seen against all of the batch where it is small."""
    low = _zero(values)
    high = None if low is None else 1.02
    return one_diagnostic(log, name, low=low, high=high, findings=(found,))


def _zero(values: np.ndarray) -> float | None:
    return 0.0 if values.min() < 0.5 else None

"""Shares of the batch: how much of it an update learned from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Axis, Figure, Finding
from surefoot.reporting.drawing.formatting import percent, quantiles
from surefoot.reporting.drawing.series import STEPS, line
from surefoot.reporting.single_run.panel import Panel, panel


def _share(
    name: str,
    column: str,
    title: str,
    says: str,
    axis: str,
    words: str,
    find: Callable[[np.ndarray], Finding],
) -> Panel:
    """A panel of a share between 0 and 1."""

    @panel(column)
    def shown(log: Log) -> Figure:
        values = log.columns[column]
        low, high = (0.0, 1.02) if np.nanmin(values) < 0.5 else (None, None)
        return Figure(
            name,
            title,
            says,
            f"{words}: {quantiles(values)}.",
            STEPS,
            Axis(axis, low=low, high=None if column == "clip_fraction" else high),
            (line(log, column, words.lower()),),
            findings=(find(values[np.isfinite(values)]),),
        )

    return shown


def _clipped(values: np.ndarray) -> Finding:
    middle = float(np.median(values))
    return Finding(
        middle <= 0.3, f"half of the updates clipped {percent(middle)} of samples or more"
    )


def _projected(values: np.ndarray) -> Finding:
    middle, most = float(np.median(values)), float(values.max())
    told = f"half of the updates shortened {percent(middle)} of the samples' gradients or more"
    return Finding(most > 0 and middle <= 0.95, told)


def _effective(values: np.ndarray) -> Finding:
    low = float(np.quantile(values, 0.05))
    return Finding(
        low >= 0.5,
        f"the effective sample size was {percent(low)} of the batch or more in 95 % of iterations",
    )


clipped = _share(
    "clip",
    "clip_fraction",
    "Clipped samples",
    "Share of samples whose probability ratio lies outside 1 ± ε after the update. Bad: above "
    "0.3 in half of the updates: the rate is too high.",
    "share of samples (–)",
    "Clipped",
    _clipped,
)
projected = _share(
    "projected",
    "projected_fraction",
    "Projected samples",
    "Share of samples whose gradient the trust region shortened. Bad: 0 always, where it does "
    "nothing; above 0.95 in half of the updates, where little is learned.",
    "share of samples (–)",
    "Projected",
    _projected,
)
effective = _share(
    "ess",
    "effective_sample_size",
    "Effective sample size of the importance weights",
    "(Σw)²/(nΣw²) of w = π_new/π_old on the batch: the share of it that still speaks for the "
    "new policy. Bad: below one half in more than 5 % of the iterations: the surrogate rests on "
    "few samples.",
    "effective share of the batch (–)",
    "Effective share",
    _effective,
)

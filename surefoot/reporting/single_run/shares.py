"""Shares of the batch: how much of it an update learned from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Axis, Figure
from surefoot.reporting.drawing.formatting import quantiles
from surefoot.reporting.drawing.series import STEPS, has, line


def _share(
    name: str, column: str, title: str, says: str, axis: str, words: str
) -> Callable[[Log], Figure | None]:
    """A panel of a share between 0 and 1."""

    def panel(log: Log) -> Figure | None:
        if not has(log, column):
            return None
        low, high = (0.0, 1.02) if np.nanmin(log.columns[column]) < 0.5 else (None, None)
        return Figure(
            name,
            title,
            says,
            f"{words}: {quantiles(log.columns[column])}.",
            STEPS,
            Axis(axis, low=low, high=None if column == "clip_fraction" else high),
            (line(log, column, words.lower()),),
        )

    return panel


clipped = _share(
    "clip",
    "clip_fraction",
    "Clipped samples",
    "Share of samples whose probability ratio lies outside 1 ± ε after the update. Bad: above "
    "0.3: the rate is too high.",
    "share of samples (–)",
    "Clipped",
)
projected = _share(
    "projected",
    "projected_fraction",
    "Projected samples",
    "Share of samples whose gradient the trust region shortened. Bad: 0 always, where it does "
    "nothing; near 1, where little is learned.",
    "share of samples (–)",
    "Projected",
)
effective = _share(
    "ess",
    "effective_sample_size",
    "Effective sample size of the importance weights",
    "(Σw)²/(nΣw²) of w = π_new/π_old on the batch: the share of it that still speaks for the "
    "new policy. Bad: below one half: the surrogate rests on few samples.",
    "effective share of the batch (–)",
    "Effective share",
)

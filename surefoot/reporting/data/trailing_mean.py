"""A mean over the steps just before: how returns went, without the noise of single episodes."""

from __future__ import annotations

import numpy as np


def trailing_mean(
    steps: np.ndarray, values: np.ndarray, ends: np.ndarray, width: float
) -> np.ndarray:
    """Mean of the values in the `width` steps up to each of `ends`; where there is none, that of
    the newest step before. What is not finite counts for nothing; NaN where there is nothing yet.

    Args:
        steps: of each value, ascending.
        values: as many.
        ends: steps at which a mean is wanted.
        width: steps that one is over, its beginning excluded.
    """
    if not len(values):
        return np.full(len(ends), np.nan)
    finite = np.isfinite(values)
    steps, values = steps[finite], values[finite]
    if not len(values):
        return np.full(len(ends), np.nan)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    end = np.searchsorted(steps, ends, side="right")
    newest = np.searchsorted(steps, steps[np.maximum(end - 1, 0)], side="left")
    start = np.minimum(np.searchsorted(steps, ends - width, side="right"), newest)
    means = (sums[end] - sums[start]) / np.maximum(end - start, 1)
    return np.where(end > 0, means, np.nan)

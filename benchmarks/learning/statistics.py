"""What a handful of seeds can say: point estimates over runs, and intervals of them.

The interquartile mean with stratified-bootstrap intervals is that of Agarwal et al. 2021, "Deep RL
at the edge of the statistical precipice". Such an interval is of the percentile kind and too narrow
for few runs, five for instance; Student's t interval of the mean is not, if the scores of the seeds
are about normal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.stats

RESAMPLES = 10_000
Statistic = Callable[..., np.ndarray]
"""Maps scores to a point estimate, along the axis given as `axis`."""


def interquartile_mean(scores: np.ndarray, axis: int = 0) -> np.ndarray:
    """Mean of what is left without the lowest and the highest ⌊n/4⌋ of n scores."""
    return scipy.stats.trim_mean(scores, 0.25, axis=axis)


def bootstrap_interval(
    strata: Sequence[np.ndarray],
    statistic: Statistic = interquartile_mean,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the percentile interval of a statistic of all strata's scores together.

    Args:
        strata: one array [runs, …] a task; runs are drawn anew, with replacement, within each.
        statistic: is computed over the runs of all strata.
        resamples: number of such draws.
        level: share of the draws that the interval holds.
        seed: of the draws; the same strata and seed give the same interval.
    """
    rng = np.random.default_rng(seed)
    drawn = [runs[rng.integers(len(runs), size=(resamples, len(runs)))] for runs in strata]
    estimates = statistic(np.concatenate(drawn, axis=1), axis=1)
    low, high = np.quantile(estimates, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def t_interval(scores: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Ends of Student's t interval of the mean of two scores or more."""
    half = scipy.stats.t.ppf((1 + level) / 2, len(scores) - 1) * standard_error(scores)
    return float(scores.mean() - half), float(scores.mean() + half)


def standard_error(scores: np.ndarray) -> float:
    """Standard error of the mean of two scores or more."""
    return float(scores.std(ddof=1) / len(scores) ** 0.5)


def standard_errors_above(scores: np.ndarray, reference: float) -> float:
    """How far the mean lies above a reference, in standard errors of the mean; infinite if all
    scores are the same."""
    error, above = standard_error(scores), float(scores.mean()) - reference
    return above / error if error else float(np.copysign(np.inf, above))

"""What a handful of seeds can say: point estimates over runs, and intervals of them.

The interquartile mean, the performance profile and the probability of improvement with
stratified-bootstrap intervals are those of Agarwal et al. 2021, "Deep RL at the edge of the
statistical precipice". Such an interval is of the percentile kind and too narrow for few runs, five
for instance; Student's t interval of the mean is not, if the scores of the seeds are about normal.

Scores come in strata, one array a task: runs are drawn anew within a task and never across tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

RESAMPLES = 10_000
Statistic = Callable[..., np.ndarray]
"""Maps scores to a point estimate, along the axis given as `axis`."""


def interquartile_mean(scores: np.ndarray, axis: int = 0) -> np.ndarray:
    """Mean of what is left without the lowest and the highest ⌊n/4⌋ of n scores."""
    runs = np.moveaxis(np.asarray(scores), axis, 0)
    cut = len(runs) // 4
    if cut:
        runs = np.partition(runs, (cut, len(runs) - cut - 1), axis=0)[cut : len(runs) - cut]
    return runs.mean(axis=0)


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
    drawn = [runs[_draws(rng, len(runs), resamples)] for runs in strata]
    return _percentiles(statistic(np.concatenate(drawn, axis=1), axis=1), level)


def performance_profile(strata: Sequence[np.ndarray], thresholds: np.ndarray) -> np.ndarray:
    """Share of runs with a score above each threshold, mean over the tasks: [thresholds]."""
    shares = [(scores[:, None] > thresholds).mean(axis=0) for scores in strata]
    return np.mean(shares, axis=0)


def profile_interval(
    strata: Sequence[np.ndarray],
    thresholds: np.ndarray,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the pointwise percentile interval of the performance profile, [thresholds] each.
    Arguments are those of `bootstrap_interval`."""
    rng = np.random.default_rng(seed)
    drawn = [
        _counts(rng, len(scores), resamples) @ (scores[:, None] > thresholds) / len(scores)
        for scores in strata
    ]
    return _percentiles(np.mean(drawn, axis=0), level)


def probability_of_improvement(x: Sequence[np.ndarray], y: Sequence[np.ndarray]) -> float:
    """Mean over tasks of P(X > Y) + ½ P(X = Y), where X and Y are scores of runs drawn at random:
    the Mann–Whitney statistic. `x` and `y` hold one array of scores a task, of the same tasks."""
    return float(np.mean([_wins(a, b).mean() for a, b in zip(x, y, strict=True)]))


def improvement_interval(
    x: Sequence[np.ndarray],
    y: Sequence[np.ndarray],
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Ends of the percentile interval of the probability of improvement. The runs of both sides
    are drawn anew, independently; other arguments are those of `bootstrap_interval`."""
    rng = np.random.default_rng(seed)
    drawn = []
    for a, b in zip(x, y, strict=True):
        of_a, of_b = _counts(rng, len(a), resamples), _counts(rng, len(b), resamples)
        drawn.append(np.sum(of_a @ _wins(a, b) * of_b, axis=1) / (len(a) * len(b)))
    low, high = _percentiles(np.mean(drawn, axis=0), level)
    return float(low), float(high)


def t_interval(scores: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Ends of Student's t interval of the mean of two scores or more."""
    import scipy.stats

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


def _draws(rng: np.random.Generator, runs: int, resamples: int) -> np.ndarray:
    """Which runs each resample draws, [resamples, runs]."""
    return rng.integers(runs, size=(resamples, runs))


def _counts(rng: np.random.Generator, runs: int, resamples: int) -> np.ndarray:
    """How often each resample draws each run, [resamples, runs]: all that a mean needs."""
    places = _draws(rng, runs, resamples) + runs * np.arange(resamples)[:, None]
    return np.bincount(places.ravel(), minlength=runs * resamples).reshape(resamples, runs)


def _wins(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """1 where a run of `a` scores higher than one of `b`, ½ where both score the same."""
    return (a[:, None] > b) + 0.5 * (a[:, None] == b)


def _percentiles(estimates: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.quantile(estimates, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high

"""The statistics of `surefoot.common.statistics` against rliable's, on the same scores and draws.

    python -m venv elsewhere && elsewhere/bin/pip install . rliable "pandas<3"
    elsewhere/bin/python -m benchmarks.rliable_comparison

works with rliable 1.2.0, which pandas 3 breaks. Every line is the largest difference of a statistic
or of the ends of its 95 % interval; the command fails if one is above 1e-12.
"""

import numpy as np
from rliable import library, metrics

from surefoot.common import statistics

RUNS, TASKS, DRAWS = 10, 4, 500
TOLERANCE = 1e-12


def columns(scores):
    """rliable's [runs, tasks] as one array a task."""
    return list(scores.T)


def iqm(scores):
    return statistics.interquartile_mean(scores.ravel())


def profile(taus):
    return lambda scores: statistics.performance_profile(columns(scores), taus)


def improvement(x, y):
    return statistics.probability_of_improvement(columns(x), columns(y))


def interval(bootstrap, *scores, ours, theirs):
    """Ends of ours less ends of theirs, both of the same draws: those of rliable, which also takes
    theirs of them, and np.quantile ours."""
    kept = []

    def both(*drawn):
        kept.append(np.ravel(ours(*drawn)))
        return np.ravel(theirs(*drawn))

    ends = bootstrap(*scores).conf_int(both, reps=DRAWS, size=0.95, method="percentile")
    # The first call is that of the scores themselves, if there is one.
    return np.quantile(kept[-DRAWS:], [0.025, 0.975], axis=0) - ends


def main():
    rng = np.random.default_rng(0)
    # Rounded, so that there are ties.
    x, y = (np.round(rng.normal(shift, 1, size=(RUNS, TASKS)), 1) for shift in (0.3, 0.0))
    taus = np.linspace(-2, 2, 9)

    def shares(scores):
        return np.array([library.run_score_deviation(scores, tau) for tau in taus])

    differences = {
        "interquartile mean": iqm(x) - metrics.aggregate_iqm(x),
        "its interval": interval(
            library.StratifiedBootstrap, x, ours=iqm, theirs=metrics.aggregate_iqm
        ),
        "performance profile": profile(taus)(x) - shares(x),
        "its band": interval(library.StratifiedBootstrap, x, ours=profile(taus), theirs=shares),
        "probability of improvement": improvement(x, y) - metrics.probability_of_improvement(x, y),
        "its interval, too": interval(
            library.StratifiedIndependentBootstrap,
            *(x, y),
            ours=improvement,
            theirs=metrics.probability_of_improvement,
        ),
    }
    for name, difference in differences.items():
        print(f"{name}: {np.max(np.abs(difference)):.1e}")
    if any(np.max(np.abs(difference)) > TOLERANCE for difference in differences.values()):
        raise SystemExit("they differ")


if __name__ == "__main__":
    main()

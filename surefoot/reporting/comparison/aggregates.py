"""Methods against each other over the runs of each: interquartile means, performance profiles and
probabilities of improvement (Agarwal et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from surefoot.common import statistics
from surefoot.reporting.comparison.group_scores import Scores, final_scores
from surefoot.reporting.comparison.grouping import Group
from surefoot.reporting.drawing.figures import PLAIN, Axis, Figure, Series
from surefoot.reporting.drawing.formatting import MOST_LISTED, format_interval, format_list, number
from surefoot.reporting.drawing.tables import Table

_PAIR_RESAMPLES = 2000
#: Methods of which every pair is compared; of more, each against the best.
_MOST_PAIRED = 5
_TAUS = 101


def summary(groups: Sequence[Group], floors: dict[str, float]) -> Table:
    """Scores of each method on each task."""
    rows = []
    for one in groups:
        scores = final_scores(one, floors)
        middle = low = high = mean = std = float("nan")
        if len(scores):
            middle, mean = float(statistics.interquartile_mean(scores)), float(scores.mean())
        if len(scores) > 1:
            low, high = map(float, statistics.bootstrap_interval([scores]))
            std = float(scores.std(ddof=1))
        steps = sorted({log.total for log in one.runs})
        rows.append(
            (
                one.method,
                one.task,
                str(len(one.runs)),
                f"{steps[0]:,}" if len(steps) == 1 else f"{steps[0]:,} to {steps[-1]:,}",
                number(middle),
                format_interval(low, high),
                number(mean) if std != std else f"{number(mean)} ± {number(std)}",
                number(float(scores.min())) if len(scores) else "–",
                number(float(scores.max())) if len(scores) else "–",
            )
        )
    header = ("method", "task", "runs", "steps", "IQM", "95 % interval", "mean ± std")
    return Table(
        "Score of each run, its mean return in the last tenth of its steps: interquartile mean "
        "over the runs with its 95 % bootstrap interval, and mean with standard deviation",
        (*header, "lowest", "highest"),
        rows,
        copied=True,
    )


def over_tasks(scores: Scores, tasks: Sequence[str]) -> Table:
    """Scores of each method over all tasks."""
    rows = []
    for method, strata in scores.of.items():
        every = np.concatenate(strata)
        interval = "–"
        if min(map(len, strata)) > 1:
            interval = "{:.3f} to {:.3f}".format(*statistics.bootstrap_interval(strata))
        middle = float(statistics.interquartile_mean(every))
        rows.append((method, str(len(every)), f"{middle:.3f}", interval, f"{every.mean():.3f}"))
    return Table(
        f"Over {len(tasks)} tasks ({', '.join(tasks)}): scores scaled per task, 0 the lowest run "
        "and 1 the highest",
        ("method", "runs", "IQM", "95 % interval", "mean"),
        rows,
        copied=True,
    )


def profile(scores: Scores, tasks: Sequence[str], styles: dict[str, int]) -> Figure:
    """How many runs of each method reach which score."""
    every = np.concatenate([one for strata in scores.of.values() for one in strata])
    low, high = float(every.min()), float(every.max())
    margin = 0.02 * (high - low or 1.0)
    taus = np.linspace(low - margin, high + margin, _TAUS)
    series = []
    for method, strata in scores.of.items():
        share = statistics.performance_profile(strata, taus)
        band: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
        if min(map(len, strata)) > 1:
            band = statistics.profile_interval(strata, taus, resamples=_PAIR_RESAMPLES)
        series.append(Series(method, "interval", taus, share, *band, styles[method]))
    return Figure(
        "profile",
        "Performance profiles",
        f"Share of the runs with a score above τ, on {', '.join(tasks)}, with pointwise 95 % "
        "bands. A curve above another everywhere is the better method; where they cross, it "
        "depends on what is asked for.",
        f"{len(scores.of)} methods, {len(every)} runs.",
        Axis(f"τ: {scores.unit}"),
        Axis("share of runs above τ (–)", low=-0.02, high=1.02),
        tuple(series),
    )


def improvement(scores: Scores, tasks: Sequence[str]) -> tuple[Figure, Table]:
    """How likely one method is better than another, drawn and as a table."""
    names = list(scores.of)
    means = {
        name: statistics.interquartile_mean(np.concatenate(scores.of[name])).item()
        for name in names
    }
    names.sort(key=lambda name: -means[name])
    if len(names) <= _MOST_PAIRED:
        pairs = [(x, y) for i, x in enumerate(names) for y in names[i + 1 :]]
    else:
        pairs = [(names[0], y) for y in names[1:]]
    found = []
    for x, y in pairs:
        chance = statistics.probability_of_improvement(scores.of[x], scores.of[y])
        low = high = float("nan")
        # One run, drawn again and again, is no evidence of how much runs differ.
        if min(map(len, scores.of[x] + scores.of[y])) > 1:
            low, high = statistics.improvement_interval(
                scores.of[x], scores.of[y], resamples=_PAIR_RESAMPLES
            )
        found.append((chance, low, high))
    middle, low_, high_ = np.array(found, float).T
    labels = tuple(f"{x} > {y}" for x, y in pairs)
    places = np.arange(len(pairs), dtype=float)[::-1]
    against = "" if len(names) <= _MOST_PAIRED else f", {names[0]} against each other method"
    figure = Figure(
        "improvement",
        "Probability of improvement",
        "P(X > Y): how likely a run of X scores higher than one of Y, mean over "
        f"{', '.join(tasks)}, ties counted half, with 95 % intervals{against}. One half is no "
        "difference; an interval that holds it has not shown one.",
        format_list([f"{label}: {value:.2f}" for label, value in zip(labels, middle, strict=True)]),
        Axis("P(X > Y) (–)", low=-0.02, high=1.02),
        Axis("", labels=labels[::-1]),
        (
            Series(
                "no difference",
                "rule",
                np.array([0.5, 0.5]),
                np.array([-0.5, len(pairs) - 0.5]),
                style=PLAIN,
            ),
            Series("probability, 95 % interval", "bars", middle, places, low_, high_, style=0),
        ),
        wide=len(pairs) > MOST_LISTED,
        rows=len(pairs),
    )
    rows = [
        (x, y, f"{p:.3f}", format_interval(low, high, "{:.3f}".format))
        for (x, y), (p, low, high) in zip(pairs, found, strict=True)
    ]
    table = Table(
        f"Probability that a run of X scores higher than one of Y, on {', '.join(tasks)}",
        ("X", "Y", "P(X > Y)", "95 % interval"),
        rows,
        copied=True,
    )
    return figure, table

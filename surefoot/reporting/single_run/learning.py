"""Whether the run learned: returns, or the likelihood of recorded actions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from surefoot.reporting.data.run_log import Log
from surefoot.reporting.data.trailing_mean import trailing_mean
from surefoot.reporting.drawing.figures import Axis, Figure, Finding, Series, thin
from surefoot.reporting.drawing.formatting import number
from surefoot.reporting.drawing.series import STEPS, last, line
from surefoot.reporting.single_run.panel import panel
from surefoot.runs.folder.method_facts import learns_offline
from surefoot.runs.score import POINTS

#: Dots that an eye, and a telephone, can take.
MOST_EPISODES = 20_000
MOST_POINTS = 1000
#: Parts of a learning curve from which a fall can be told from noise.
_FEWEST_PARTS = 10


@panel()
def learning(log: Log) -> Figure | None:
    """Returns of the episodes, or of evaluations."""
    if not len(log.returns) and log.evaluations is None:
        return None
    series, score = [], log.score
    many = len(log.returns) > MOST_EPISODES
    if len(log.returns):
        shown = thin(len(log.returns), MOST_EPISODES)
        series.append(
            Series(
                "episodes",
                "points",
                log.episode_steps[shown],
                log.returns[shown],
                style=0,
                faint=True,
            )
        )
        at = log.episode_steps[thin(len(log.returns), MOST_POINTS)]
        mean = trailing_mean(log.episode_steps, log.returns, at, log.total / POINTS)
        series.append(Series("mean of a fiftieth of the steps", "line", at, mean, style=0))
    if log.evaluations is not None:
        told = log.evaluations
        series.append(
            Series(
                "evaluation, mean ± std",
                "bars",
                told.steps,
                told.mean,
                told.mean - told.std,
                told.mean + told.std,
                style=1,
            )
        )
    series += _marks(log, log.returns if len(log.returns) else log.evaluated.total)
    return Figure(
        "learning",
        "Return of the episodes",
        "A dot is an episode that ended"
        + (f" ({MOST_EPISODES:,} of {len(log.returns):,}, evenly)" if many else "")
        + ", the line the mean of those in a fiftieth of the run's steps. Those of one iteration "
        "are spread over its steps. Bad: a score in the lowest quarter of the curve's range: the "
        "run fell and stayed low. Watch for dots in two separate bands.",
        f"{len(log.returns):,} episodes over {log.total:,} steps; "
        f"score {number(score.value)}: {score.words}.",
        STEPS,
        Axis("undiscounted return (reward)"),
        tuple(series),
        wide=True,
        findings=tuple(_fallen(log)),
    )


def _fallen(log: Log) -> Iterator[Finding]:
    """Whether the run lost what it had learned."""
    means = log.curve[1]
    means = means[np.isfinite(means)]
    score = log.score
    if len(means) < _FEWEST_PARTS or not score.exists or np.ptp(means) <= 0:
        return
    low, high = float(means.min()), float(means.max())
    yield Finding(
        not score.value < low + (high - low) / 4,
        f"the score is {number(score.value)}, the curve's range {number(low)} to {number(high)}",
    )


@panel("objective_after")
def likelihood(log: Log) -> Figure | None:
    """What a method that learns from recorded data has in place of returns."""
    if not learns_offline(log.config):
        return None
    values = log.columns["objective_after"]
    risen = last(values) - float(values[0])
    return Figure(
        "likelihood",
        "Likelihood of the recorded actions",
        "Mean log-likelihood of the recorded actions under the policy, with its regularizers, "
        "after each pass. Bad: an end below the beginning.",
        f"From {number(values[0])} to {number(last(values))} nats.",
        Axis("recorded transitions seen"),
        Axis("objective (nats)"),
        (line(log, "objective_after", "after the pass"), *_marks(log, values)),
        wide=True,
        findings=(
            Finding(not risen < 0, f"the log-likelihood changed by {number(risen)} nats in all"),
        ),
    )


def _marks(log: Log, values: np.ndarray) -> list[Series]:
    """What happened to the run, at the foot of the figure."""
    foot = float(np.min(values[np.isfinite(values)], initial=np.inf))
    foot = foot if np.isfinite(foot) else 0.0
    return [
        Series(f"{what} ({len(at):,})", "crosses", at, np.full(len(at), foot), style=style)
        for what, at, style in (
            ("refused update", log.refused, 4),
            ("environment restarted", log.restarts, 5),
        )
        if len(at)
    ]

"""How fast methods learned: steps to a threshold, and the area under the learning curve."""

from __future__ import annotations

import math
from collections.abc import Sequence

import gymnasium
import numpy as np

from surefoot.common import statistics
from surefoot.reporting.comparison.grouping import Group
from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.formatting import format_interval, number
from surefoot.reporting.drawing.tables import Table
from surefoot.runs.score import area, steps_to


def registered_threshold(log: Log) -> float | None:
    """The return at which the run's environment counts as solved, if Gymnasium has one for it."""
    spec = gymnasium.registry.get(str(log.config.get("environment_id")))
    return None if spec is None else spec.reward_threshold


def threshold(logs: Sequence[Log]) -> float:
    """The return that runs of one task are timed to: the registered one, where one of them reaches
    it; otherwise halfway from the lowest point of their learning curves to their highest score. NaN
    where no run has a score."""
    curves = [log.curve for log in logs]
    known = registered_threshold(logs[0])
    if known is not None and any(math.isfinite(steps_to(known, *curve)) for curve in curves):
        return known
    lowest = min((float(np.nanmin(y)) for _, y in curves if np.isfinite(y).any()), default=math.nan)
    highest = max((log.score.value for log in logs if log.score.exists), default=math.nan)
    return (lowest + highest) / 2


def speed_of_learning(groups: Sequence[Group], floors: dict[str, float]) -> Table:
    """Steps to each task's threshold, and the area under the curve, of each method; of a run
    without one finite return the area is the lowest score of the task."""
    rows = []
    for one in groups:
        level = threshold([log for other in groups if other.task == one.task for log in other.runs])
        curves = [log.curve for log in one.runs]
        steps = np.array([steps_to(level, *curve) for curve in curves])
        reached = int(np.isfinite(steps).sum())
        areas = np.array([area(means) for _, means in curves])
        diverged = np.array([log.score.ended > 0 for log in one.runs]) & np.isnan(areas)
        areas[diverged] = floors.get(one.task, math.nan)
        areas = areas[np.isfinite(areas)]
        low = high = middle = math.nan
        if len(areas):
            middle = float(statistics.interquartile_mean(areas))
        if len(areas) > 1:
            low, high = map(float, statistics.bootstrap_interval([areas]))
        rows.append(
            (
                one.method,
                one.task,
                number(level),
                f"{reached} of {len(steps)}",
                _steps(float(np.median(steps))),
                number(middle),
                format_interval(low, high),
            )
        )
    return Table(
        "How fast each method learned, by the mean return in each fiftieth of a run's steps: steps "
        "after which it first is at the threshold (median over the runs; one that never is counts "
        "as later than all), and the area under that curve over its length (interquartile mean "
        "over the runs with its 95 % bootstrap interval). The threshold is the environment's own "
        "where a run reaches it, otherwise halfway from the lowest point of a curve to the best "
        "score",
        ("method", "task", "threshold", "reached by", "steps to it", "area", "95 % interval"),
        rows,
        copied=True,
    )


def _steps(steps: float) -> str:
    return f"{steps:,.0f}" if math.isfinite(steps) else "–"

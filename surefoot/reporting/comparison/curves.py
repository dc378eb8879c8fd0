"""Curves of several runs over the steps, with what differs between their seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from surefoot.common import statistics
from surefoot.reporting.comparison.group_scores import final_scores
from surefoot.reporting.comparison.grouping import Group
from surefoot.reporting.data.run_log import Log
from surefoot.reporting.data.trailing_mean import trailing_mean
from surefoot.reporting.drawing.figures import Axis, Figure, Series
from surefoot.reporting.drawing.formatting import format_list, number
from surefoot.reporting.drawing.series import STEPS
from surefoot.runs.folder.diagnostic_table import describe
from surefoot.runs.score import POINTS

#: Points of a curve over seeds.
_GRID = 100
#: Draws for the bands of curves, of which there are hundreds; tables have more.
_BAND_RESAMPLES = 1000
#: Numbers that a bootstrap of curves holds at a time.
_AT_ONCE = 4_000_000


def _grid(log: Log, ends: np.ndarray, floor: float) -> np.ndarray:
    """Mean return just before each of the steps, `floor` where none was finite yet; NaN before the
    first."""
    steps, returns = log.episode_steps, log.returns
    if log.evaluations is not None:
        steps, returns = log.evaluations.steps, log.evaluations.mean
    if not len(returns):
        return np.full(len(ends), np.nan)
    values = trailing_mean(steps, returns, ends, log.total / POINTS)
    values = np.where(np.isfinite(values), values, floor)
    return np.where((ends >= steps[0]) & (ends <= log.total + 0.5), values, np.nan)


def _interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interquartile mean and its band of curves [runs, points], of the runs that have a value
    there."""
    middle, low, high = np.full((3, values.shape[1]), np.nan)
    there = np.isfinite(values)
    patterns, which = np.unique(there, axis=1, return_inverse=True)
    for place, pattern in enumerate(patterns.T):
        points = np.flatnonzero(which.ravel() == place)
        runs = values[pattern]
        if not len(runs):
            continue
        middle[points] = statistics.interquartile_mean(runs[:, points])
        if len(runs) < 2:
            continue
        size = max(1, _AT_ONCE // (_BAND_RESAMPLES * len(runs)))
        for part in np.array_split(points, -(-len(points) // size)):
            low[part], high[part] = statistics.bootstrap_interval(
                [runs[:, part].astype(np.float32)], resamples=_BAND_RESAMPLES
            )
    return middle, low, high


def curves(
    place: int,
    task: str,
    groups: Sequence[Group],
    styles: dict[str, int],
    floors: dict[str, float],
    *,
    wide: bool,
) -> Figure:
    """Return on a task, a curve a method."""
    end = max(log.total for one in groups for log in one.runs)
    ends = np.linspace(0, end, _GRID + 1)[1:]
    series, said = [], []
    for one in groups:
        values = np.array([_grid(log, ends, floors[task]) for log in one.runs])
        middle, low, high = _interval(values)
        label = f"{one.method} ({len(one.runs)})"
        series.append(Series(label, "interval", ends, middle, low, high, styles[one.method]))
        middle_score = statistics.interquartile_mean(final_scores(one, floors)).item()
        said.append(f"{one.method} {number(middle_score)}")
    return Figure(
        f"curves-{place}",
        f"Return on {task}",
        "Interquartile mean over the runs, whose number stands in brackets, of each one's mean "
        "return in a fiftieth of its steps, and its pointwise 95 % stratified-bootstrap interval. "
        "With few runs such an interval is too narrow.",
        f"Scores, over the last tenth of the steps: {format_list(said)}",
        STEPS,
        Axis("undiscounted return (reward)"),
        tuple(series),
        wide=wide,
    )


def trace(
    place: int, name: str, task: str, groups: Sequence[Group], styles: dict[str, int]
) -> Figure | None:
    """A diagnostic on a task, a curve a method; `None` where no run has it."""
    told = describe(name)
    axis = Axis(f"{told.label} ({told.unit})", log=told.log, low=told.low, high=told.high)
    series, said = [], []
    for one in groups:
        runs = [log for log in one.runs if name in log.traced]
        if not runs:
            continue
        ends = np.linspace(0, max(log.total for log in runs), _GRID + 1)[1:]
        values = np.array([_at(log, name, ends) for log in runs])
        points = np.isfinite(values).any(axis=0)
        if not points.any():
            continue
        middle = np.nanmedian(values[:, points], axis=0)
        shown = np.where(middle > 0, middle, np.nan) if axis.log else middle
        series.append(Series(one.method, "line", ends[points], shown, style=styles[one.method]))
        said.append(f"{one.method} {number(float(np.median(middle)))}")
    if not series:
        return None
    return Figure(
        f"{name}-{place}",
        f"{told.title}: {task}",
        f"{told.meaning} Median over the runs.",
        f"Medians over the run: {format_list(said)}",
        STEPS,
        axis,
        tuple(series),
    )


def _at(log: Log, name: str, ends: np.ndarray) -> np.ndarray:
    at = np.clip(np.searchsorted(log.steps, ends), 0, len(log.steps) - 1)
    values = log.traced[name][at]
    return np.where((ends <= log.total + 0.5) & np.isfinite(values), values, np.nan)

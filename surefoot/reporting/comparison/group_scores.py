"""Final scores of groups of runs, such that those of several tasks can be put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from surefoot.reporting.comparison.grouping import Group


def lowest(groups: Sequence[Group]) -> dict[str, float]:
    """The lowest score of each task that has one."""
    floors: dict[str, float] = {}
    for one in groups:
        for log in one.runs:
            score = log.score
            if score.exists:
                floors[one.task] = min(score.value, floors.get(one.task, score.value))
    return floors


def final_scores(one: Group, floors: dict[str, float]) -> np.ndarray:
    """Scores of the runs that have one; of a run that diverged it is the lowest of the task, for
    without it a method that diverges would look good."""
    lowest = floors.get(one.task, np.nan)
    scores = [log.score for log in one.runs]
    values = np.array([lowest if score.diverged else score.value for score in scores])
    return values[np.isfinite(values)]


class Scores(NamedTuple):
    """Scores that can be put together."""

    of: dict[str, list[np.ndarray]]
    """For each method one array a task."""
    unit: str
    """What they are in."""


def comparable(scored: dict[str, list[Group]]) -> tuple[list[str], list[str]]:
    """The methods to compare, and the tasks that all of them have scores on: the tasks that the
    most methods have."""
    by_method: dict[str, list[str]] = {}
    for task, groups in scored.items():
        for one in groups:
            by_method.setdefault(one.method, []).append(task)
    sets = list(dict.fromkeys(map(tuple, by_method.values())))

    def methods(tasks: tuple[str, ...]) -> list[str]:
        return [name for name, own in by_method.items() if set(tasks) <= set(own)]

    if not sets:
        return [], []
    best = max(sets, key=lambda tasks: (len(methods(tasks)) > 1, len(methods(tasks)) * len(tasks)))
    return methods(best), list(best)


def normalized(
    scored: dict[str, list[Group]],
    methods: Sequence[str],
    tasks: Sequence[str],
    floors: dict[str, float],
) -> Scores:
    """Scores of these methods on these tasks: of one as they are, of several from 0 to 1."""
    raw = {
        task: {
            one.method: final_scores(one, floors) for one in scored[task] if one.method in methods
        }
        for task in tasks
    }
    if len(tasks) == 1:
        return Scores({method: [raw[tasks[0]][method]] for method in methods}, "return (reward)")
    of: dict[str, list[np.ndarray]] = {method: [] for method in methods}
    for task in tasks:
        every = np.concatenate(list(raw[task].values()))
        low, span = every.min(), np.ptp(every) or 1.0
        for method in methods:
            of[method].append((raw[task][method] - low) / span)
    return Scores(of, "score scaled per task (–)")

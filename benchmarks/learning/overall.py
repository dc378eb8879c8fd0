"""Scores over tasks: scaled per task so that the random policy has 0 and the best mean 1.

Runs of the same length are compared, on all tasks that there are for it. A recipe that lacks
something there has no score, but a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.learning.lines import Line


class Overall(NamedTuple):
    """One recipe's scores on several tasks."""

    label: str
    name: str
    tasks: list[str]
    steps: int
    """Steps asked for."""
    strata: list[np.ndarray]
    """Scaled scores of the seeds, an array a task."""


def best_means(lines: Sequence[Line]) -> dict[str, float]:
    """The highest mean on each task; −∞ where no line has scores."""
    best = {line.task: -np.inf for line in lines}
    for line in lines:
        if line.scores:
            best[line.task] = max(best[line.task], line.mean)
    return best


def over_tasks(lines: Sequence[Line], random: dict[str, float]) -> tuple[list[Overall], list[str]]:
    """The scores of trained lines, from the random policy's mean on each task, and the reasons for
    those that are not there."""
    found, notes = [], []
    for steps in sorted({line.steps for line in lines if line.steps is not None}):
        rivals = [line for line in lines if line.steps == steps]
        tasks = sorted({line.task for line in rivals})
        if len(tasks) < 2:
            continue
        best = best_means(rivals)
        for label, name in sorted({(line.label, line.name) for line in rivals}):
            own = {x.task: x for x in rivals if (x.label, x.name) == (label, name)}
            reason = _obstacle(own, tasks, random, best)
            if reason:
                notes.append(f"{label}, {name}, {steps:,} steps: {reason}")
                continue
            strata = [
                (np.array(own[task].scores) - random[task]) / (best[task] - random[task])
                for task in tasks
            ]
            found.append(Overall(label, name, tasks, steps, strata))
    return found, notes


def _obstacle(
    own: dict[str, Line], tasks: list[str], random: dict[str, float], best: dict[str, float]
) -> str | None:
    """Why a recipe has no scores that are comparable with the others', if so."""
    for task in tasks:
        if task not in own:
            return f"no rows on {task}"
        if task not in random:
            return f"no random policy on {task}"
        if own[task].scores is None:
            return f"a run on {task} finished no episode"
        if best[task] <= random[task]:
            return f"no mean on {task} is above the random policy's"
    if len({len(line.rows) for line in own.values()}) > 1:
        return "tasks have different numbers of seeds"
    return None

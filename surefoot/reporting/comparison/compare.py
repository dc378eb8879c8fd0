"""What several runs show together: `Comparison`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from surefoot.reporting.comparison.aggregates import improvement, over_tasks, profile, summary
from surefoot.reporting.comparison.curves import TRACES, curves, trace
from surefoot.reporting.comparison.group_scores import comparable, final_scores, lowest, normalized
from surefoot.reporting.comparison.grouping import Group, group, once
from surefoot.reporting.data.run_log import Log
from surefoot.reporting.data.scores import diverged
from surefoot.reporting.drawing.figures import Figure
from surefoot.reporting.drawing.tables import Table
from surefoot.runs.display.summary import WINDOW


class Comparison(NamedTuple):
    """Everything that is shown of several runs."""

    figures: list[Figure]
    tables: list[Table]
    notes: list[str]
    groups: list[Group]


def compare(logs: Sequence[Log]) -> Comparison:
    """Figures and tables of runs, in reading order."""
    groups, repeated = once(group(logs))
    floors = lowest(groups)
    styles = {method: i for i, method in enumerate(dict.fromkeys(g.method for g in groups))}
    tasks = list(dict.fromkeys(one.task for one in groups))
    scored = {
        task: [g for g in groups if g.task == task and final_scores(g, floors).size]
        for task in tasks
    }
    figures = [
        curves(i, task, scored[task], styles, floors, wide=len(tasks) < 3)
        for i, task in enumerate(tasks)
        if scored[task]
    ]
    tables, notes = [summary(groups, floors)], [*repeated, *_notes(groups, floors)]
    methods, common = comparable(scored)
    if len(methods) > 1 and common:
        scores = normalized(scored, methods, common, floors)
        if len(common) > 1:
            tables.append(over_tasks(scores, common))
        figures.append(profile(scores, common, styles))
        figure, table = improvement(scores, common)
        figures.append(figure)
        tables.append(table)
        left = [method for method in styles if method not in methods]
        if left:
            notes.append(
                f"not compared over tasks: {', '.join(left)}; compared are the methods with scores "
                f"on {', '.join(common)}"
            )
    for name in TRACES:
        for i, task in enumerate(tasks):
            figure_or_none = trace(i, name, task, [g for g in groups if g.task == task], styles)
            if figure_or_none is not None:
                figures.append(figure_or_none)
    return Comparison(figures, tables, notes, groups)


def _notes(groups: Sequence[Group], floors: dict[str, float]) -> list[str]:
    runs = [(one.task, log) for one in groups for log in one.runs]
    unfinished = sum(not log.complete for _, log in runs)
    empty = sum(not len(log.returns) for _, log in runs)
    lowest = sum(diverged(log) and task in floors for task, log in runs)
    nothing = sum(diverged(log) and task not in floors for task, log in runs)
    some = sum(not diverged(log) and not np.isfinite(log.returns).all() for _, log in runs)
    notes = []
    if unfinished:
        which = "1 unfinished run counts" if unfinished == 1 else f"{unfinished:,} unfinished runs"
        has = "it has" if unfinished == 1 else "they have"
        notes.append(f"{which}{' count' * (unfinished > 1)} with the steps that {has}")
    if empty:
        notes.append(f"no episode ended in {_runs(empty)}: no score")
    if lowest:
        notes.append(
            f"diverged: {_runs(lowest)} whose last {WINDOW} episodes all have returns that are not "
            "finite, counted as the lowest score of the task"
        )
    if nothing:
        notes.append(
            f"diverged: {_runs(nothing)} whose last {WINDOW} episodes all have returns that are "
            "not finite, on a task on which no run has a score: left out"
        )
    if some:
        notes.append(
            f"in {_runs(some)} some episodes have returns that are not finite; no mean has them"
        )
    return notes


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"

"""What several runs show together: `Comparison`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from surefoot.reporting.comparison.aggregates import improvement, over_tasks, profile, summary
from surefoot.reporting.comparison.curves import curves, trace
from surefoot.reporting.comparison.group_scores import comparable, final_scores, lowest, normalized
from surefoot.reporting.comparison.grouping import Group, group, once
from surefoot.reporting.comparison.speed_of_learning import speed_of_learning
from surefoot.reporting.data.run_log import Log
from surefoot.reporting.drawing.figures import Figure
from surefoot.reporting.drawing.tables import Table
from surefoot.runs.folder.diagnostic_table import followed


class Comparison(NamedTuple):
    """Everything that is shown of several runs."""

    figures: list[Figure]
    tables: list[Table]
    notes: list[str]
    groups: list[Group]


def compare(logs: Sequence[Log]) -> Comparison:
    """Figures and tables of runs, in reading order."""
    groups, repeated = once(group(logs))
    groups, alike = _scored_alike(groups)
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
    tables = [summary(groups, floors), speed_of_learning(groups, floors)]
    notes = [*repeated, *alike, *_notes(groups, floors)]
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
    for name in followed():
        for i, task in enumerate(tasks):
            figure_or_none = trace(i, name, task, [g for g in groups if g.task == task], styles)
            if figure_or_none is not None:
                figures.append(figure_or_none)
    return Comparison(figures, tables, notes, groups)


def _scored_alike(groups: Sequence[Group]) -> tuple[list[Group], list[str]]:
    """The groups without evaluations on tasks on which some run has none: those are of the most
    probable actions, training episodes of sampled ones, and the two are not compared."""
    alike, notes = [], []
    lacking = {g.task for g in groups for log in g.runs if log.evaluations is None}
    for task in dict.fromkeys(g.task for g in groups if g.task in lacking):
        have = sum(log.evaluations is not None for g in groups if g.task == task for log in g.runs)
        if have:
            notes.append(
                f"only {_runs(have)} on {task} {'were' if have > 1 else 'was'} evaluated: all of "
                "them are scored by their training episodes"
            )
    for one in groups:
        runs = one.runs
        if one.task in lacking:
            runs = [log._replace(evaluations=None) for log in runs]
        alike.append(one._replace(runs=runs))
    return alike, notes


def _notes(groups: Sequence[Group], floors: dict[str, float]) -> list[str]:
    runs = [(one.task, log) for one in groups for log in one.runs]
    unfinished = sum(not log.complete for _, log in runs)
    scores = [(task, log, log.score) for task, log in runs]
    empty = sum(not score.ended for *_, score in scores)
    early = sum(bool(score.ended) and not score.recent for *_, score in scores)
    lowest = sum(score.diverged and task in floors for task, _, score in scores)
    nothing = sum(score.diverged and task not in floors for task, _, score in scores)
    some = sum(
        not score.diverged and not np.isfinite(log.returns).all() for _, log, score in scores
    )
    notes = []
    if unfinished:
        which = "1 unfinished run counts" if unfinished == 1 else f"{unfinished:,} unfinished runs"
        has = "it has" if unfinished == 1 else "they have"
        notes.append(f"{which}{' count' * (unfinished > 1)} with the steps that {has}")
    if empty:
        notes.append(f"no episode ended in {_runs(empty)}: no score")
    if early:
        notes.append(
            f"in the last tenth of the steps of {_runs(early)} no episode ended, and none was an "
            "evaluation: scored by the newest before it"
        )
    if lowest:
        notes.append(
            f"diverged: {_runs(lowest)} in whose last tenth of the steps no return is finite, "
            "counted as the lowest score of the task"
        )
    if nothing:
        notes.append(
            f"diverged: {_runs(nothing)} in whose last tenth of the steps no return is finite, on "
            "a task on which no run has a score: left out"
        )
    if some:
        notes.append(
            f"in {_runs(some)} some episodes have returns that are not finite; no mean has them"
        )
    return notes


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"

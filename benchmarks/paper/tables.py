"""What the rows say beside what the paper says, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.learning.matrix import Entry
from benchmarks.learning.rows import RANDOM, read
from benchmarks.learning.table import interval, markdown, number
from benchmarks.paper.published import FIGURE_3, TABLE_1, TASKS, Setting
from surefoot.common import statistics

Scores = dict[str, np.ndarray]
"""The mean returns of the last 100 training episodes of every seed, by task: what the paper scores
a run by."""


def last_100(entries: Sequence[Entry]) -> Scores:
    """The scores of those entries that have a row."""
    found: dict[str, list[float]] = {}
    for entry in entries:
        if entry.path.exists():
            found.setdefault(entry.task, []).append(read(entry.path)["last_100"])
    return {task: np.array(scores) for task, scores in found.items()}


def figure_3(trained: Mapping[str, Scores], random: Scores) -> str:
    """A line for every recipe and task: here, and as read off the paper's figure."""
    cells = []
    for recipe, reported in FIGURE_3.items():
        for task, theirs in zip(TASKS, reported or [None] * len(TASKS), strict=True):
            ours = trained[recipe].get(task)
            if ours is None:
                continue
            low_high = interval(*statistics.t_interval(ours)) if len(ours) > 1 else "–"
            chance = random.get(task)
            cells.append(
                [
                    recipe,
                    task,
                    str(len(ours)),
                    number(float(ours.mean())),
                    low_high,
                    number(theirs),
                    number(None if chance is None else float(chance.mean())),
                ]
            )
    header = (
        "recipe",
        "task",
        "seeds",
        "last 100 episodes: mean",
        "95 % interval (Student's t)",
        "paper, Gym's v1",
        "random policy",
    )
    return markdown(header, cells)


def table_1(trained: Mapping[Setting, Scores], random: Scores) -> str:
    """A line for every setting that has rows on all tasks, with the paper's score.

    A run's score is scaled per task so that the random policy has 0 and the best has 1, and is
    averaged over runs and tasks. The paper takes "the best result" as the best: it may be the best
    setting's mean, or the best single run, so that both are there.
    """
    whole = {s: scores for s, scores in trained.items() if scores.keys() == set(TASKS)}
    settings = [setting for setting in TABLE_1 if setting in whole]
    if not settings or random.keys() != set(TASKS):
        return "No setting has rows on all seven tasks.\n"
    zero = {task: random[task].mean() for task in TASKS}
    means = {task: max(whole[s][task].mean() for s in settings) for task in TASKS}
    singles = {task: max(whole[s][task].max() for s in settings) for task in TASKS}
    cells = []
    for setting in settings:
        by_mean, by_single = (
            [(whole[setting][task] - zero[task]) / (best[task] - zero[task]) for task in TASKS]
            for best in (means, singles)
        )
        low, high = statistics.bootstrap_interval(by_mean, np.mean)
        cells.append(
            [
                setting.name,
                str(min(map(len, by_mean))),
                f"**{np.concatenate(by_mean).mean():.2f}**",
                f"{low:.2f} – {high:.2f}",
                f"{np.concatenate(by_single).mean():.2f}",
                f"{setting.score:.2f}",
            ]
        )
    header = (
        "setting",
        "seeds a task",
        "score, best mean 1",
        "95 % interval (bootstrap)",
        "score, best run 1",
        "paper",
    )
    missing = [setting.name for setting in TABLE_1 if setting not in whole]
    note = f"\nNot all rows are there: {'; '.join(missing)}.\n" if missing else ""
    return markdown(header, cells) + note


def random_scores(results: Path, seeds: Sequence[int]) -> Scores:
    """The random policy's."""
    folder = results / RANDOM
    return last_100([Entry(RANDOM, task, seed, 0, {}, folder) for task in TASKS for seed in seeds])

"""The results as Markdown: a line for every recipe and task, and one for every recipe over tasks.

Rows of different settings never share a line. What cannot be computed is a dash, and a recipe that
has no line over tasks is named with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from benchmarks.learning.lines import Line, curve
from benchmarks.learning.overall import Overall, best_means, over_tasks
from benchmarks.learning.rows import RANDOM
from surefoot.common import statistics
from surefoot.runs.score import area, steps_to

TASKS = (
    "label",
    "recipe",
    "task",
    "steps",
    "seeds",
    "score: mean",
    "95 % interval (Student's t)",
    "interquartile mean",
    "95 % interval (bootstrap)",
    "standard errors above random",
    "single seeds",
    "last 100 episodes: mean",
    "area under the curve",
    "steps to halfway",
    "20 deterministic episodes: mean",
)
OVERALL = (
    "label",
    "recipe",
    "tasks",
    "steps",
    "seeds",
    "mean",
    "interquartile mean",
    "95 % interval (bootstrap)",
)


def table(lines: Sequence[Line]) -> str:
    """Both tables, and what is missing of the second."""
    random = {line.task: line.mean for line in lines if line.recipe == RANDOM and line.scores}
    trained = [line for line in lines if line.recipe != RANDOM]
    halfway = {
        task: (random[task] + best) / 2
        for task, best in best_means(trained).items()
        if np.isfinite(best) and task in random
    }
    cells = [_cells(line, random.get(line.task), halfway.get(line.task)) for line in lines]
    text = markdown(TASKS, cells)
    levels = ", ".join(f"{number(level)} on {task}" for task, level in sorted(halfway.items()))
    if levels:
        text += f"\nHalfway from the random policy to the best mean: {levels}.\n"
    before = dict.fromkeys(f"{x.label}, {x.name}" for x in trained if x.measure == "last_100")
    if before:
        text += (
            "\nScored by their last 100 episodes, for their rows were made before there was a "
            f"score: {'; '.join(before)}.\n"
        )
    overall, notes = over_tasks(trained, random)
    if overall:
        text += "\nOver tasks, scores scaled per task: random policy 0, the best mean 1.\n\n"
        text += markdown(OVERALL, [_overall_cells(scores) for scores in overall])
    text += "".join(f"\nNot over tasks: {note}.\n" for note in notes)
    return text + f"\nRows by commit: {_commits(lines)}.\n"


def _commits(lines: Sequence[Line]) -> str:
    """Which code made how many of the rows: rows of several commits may share a line."""
    made = [row.get("commit") or "unknown" for line in lines for row in line.rows]
    commits = Counter(c[:7] + "-dirty" * c.endswith("-dirty") for c in made)
    return ", ".join(f"{commit} ({count})" for commit, count in sorted(commits.items()))


def _cells(line: Line, random: float | None, halfway: float | None) -> list[str]:
    singles = [row[line.measure] for row in line.rows]
    last = [row["last_100"] for row in line.rows]
    areas, steps = [], []
    if line.recipe != RANDOM:
        curves = [curve(row) for row in line.rows]
        areas = [area(means) for _, means in curves]
        steps = [steps_to(halfway, *each) for each in curves] if halfway is not None else []
    final = [row["deterministic_20"] for row in line.rows]
    average = middle = t = bootstrap = above = "–"
    if line.scores is not None:
        scores = np.array(line.scores)
        average, middle = number(scores.mean()), number(statistics.interquartile_mean(scores))
        if len(scores) > 1:
            t = interval(*statistics.t_interval(scores))
            bootstrap = interval(*statistics.bootstrap_interval([scores]))
            if random is not None and line.recipe != RANDOM:
                above = f"{statistics.standard_errors_above(scores, random):.1f}"
    return [
        line.label,
        line.name,
        line.task,
        "100 episodes" if line.recipe == RANDOM else f"{line.rows[0]['steps']:,}",
        ", ".join(str(row["seed"]) for row in line.rows),
        f"**{average}**",
        t,
        middle,
        bootstrap,
        above,
        ", ".join(number(score) for score in singles),
        number(None if None in last else float(np.mean(last))),
        number(float(np.mean(areas)) if areas and np.isfinite(areas).all() else None),
        # A seed that is never there is later than all.
        f"{np.median(steps):,.0f}" if steps and np.isfinite(np.median(steps)) else "–",
        number(None if None in final else float(np.mean(final))),
    ]


def _overall_cells(overall: Overall) -> list[str]:
    every, seeds = np.concatenate(overall.strata), len(overall.strata[0])
    bootstrap = "–"
    if seeds > 1:
        bootstrap = "{:.2f} – {:.2f}".format(*statistics.bootstrap_interval(overall.strata))
    return [
        overall.label,
        overall.name,
        ", ".join(overall.tasks),
        f"{overall.steps:,}",
        str(seeds),
        f"{every.mean():.2f}",
        f"**{statistics.interquartile_mean(every):.2f}**",
        bootstrap,
    ]


def number(value: float | None) -> str:
    """Whole from 100 on, else three digits."""
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


def interval(low: float, high: float) -> str:
    """Both ends."""
    return f"{number(float(low))} – {number(float(high))}"


def markdown(header: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [header, ["---"] * len(header), *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

"""Rows as the table and the curves show them: in lines, each of one setting and several seeds.

Rows of different settings never share a line; where one label holds such rows of one recipe, the
lines' names say in what they differ.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.learning.rows import RANDOM, Row, differences, read, settings, value_text
from surefoot.common.errors import UsageError
from surefoot.runs.score import POINTS


class Line(NamedTuple):
    """Rows that differ in nothing but their seed."""

    label: str
    name: str
    """The recipe; with its settings where rows of one label and recipe differ in some."""
    recipe: str
    task: str
    steps: int | None
    """Steps asked for; `None` for the random policy."""
    rows: list[Row]

    @property
    def measure(self) -> str:
        """What its seeds are scored by: `score`; `last_100` where a row was made before there was
        one, and of the random policy, which is the same from its first episode to its last."""
        scored = self.recipe != RANDOM and all("score" in row for row in self.rows)
        return "score" if scored else "last_100"

    @property
    def scores(self) -> list[float] | None:
        """Each seed's score; `None` if a seed has none."""
        scores = [row[self.measure] for row in self.rows]
        return None if None in scores else scores

    @property
    def mean(self) -> float:
        """Mean over seeds of a line that has scores."""
        assert self.scores, "a seed finished no episode"
        return sum(self.scores) / len(self.scores)


def curve(row: Row) -> tuple[np.ndarray, np.ndarray]:
    """A row's learning curve as `surefoot.runs.score.learning_curve` has it: (steps at the end of
    each part, mean return)."""
    steps, means = row["steps"], np.full(POINTS, np.nan)
    for at, value in row["curve"]:
        # The steps of a point are rounded down.
        means[-(-at * POINTS // steps) - 1] = np.nan if value is None else value
    return np.arange(1, POINTS + 1) * steps / POINTS, means


def load(
    results: Path,
    *,
    labels: list[str] | None = None,
    recipes: list[str] | None = None,
    tasks: list[str] | None = None,
) -> list[Line]:
    """The rows in a results folder, as lines sorted by label, task and name; of these labels,
    recipes and tasks, all by default. The random policy's rows come along in any case."""
    groups: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for path in sorted(results.glob("*/*.json")):
        row, label = read(path), path.parent.name
        chosen = row["recipe"] == RANDOM or (
            (not labels or label in labels) and (not recipes or row["recipe"] in recipes)
        )
        if chosen and (not tasks or row["task"] in tasks):
            key = json.dumps(settings(row), sort_keys=True)
            groups.setdefault((label, row["recipe"]), {}).setdefault(key, []).append(row)
    if not any(recipe != RANDOM for _, recipe in groups):
        wanted = [*(labels or []), *(recipes or []), *(tasks or [])]
        of = f" of {', '.join(wanted)}" if wanted else ""
        raise UsageError(f"{results} has no rows{of}: make some with 'run'")
    lines = []
    for (label, recipe), runs in groups.items():
        varying = _varying([settings(rows[0]) for rows in runs.values()])
        for rows in runs.values():
            flat = settings(rows[0])
            values = ", ".join(f"{name}={value_text(flat, name)}" for name in varying)
            name = f"{recipe} ({values})" if values else recipe
            rows.sort(key=lambda row: row["seed"])
            lines.append(Line(label, name, recipe, rows[0]["task"], flat.get("steps"), rows))
    return sorted(lines, key=lambda line: (line.label, line.task, line.name, line.steps or 0))


def _varying(runs: list[dict[str, Any]]) -> list[str]:
    """The settings that are not alike in all runs; task and steps, which lines state, aside."""
    names = {name for run in runs for name in differences(runs[0], run)}
    return sorted(names - {"task", "steps"})

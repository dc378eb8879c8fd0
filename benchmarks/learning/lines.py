"""Rows as the table and the curves show them: in lines, each of one setting and several seeds.

Rows of different settings never share a line; where one label holds such rows of one recipe, the
lines' names say in what they differ.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.learning.rows import RANDOM, Row, differences, read, settings, value_text
from surefoot.common.errors import UsageError


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
    def scores(self) -> list[float] | None:
        """Mean return of each seed's last 100 episodes; `None` if a seed has none."""
        scores = [row["last_100"] for row in self.rows]
        return None if None in scores else scores

    @property
    def mean(self) -> float:
        """Mean over seeds of a line that has scores."""
        assert self.scores, "a seed finished no episode"
        return sum(self.scores) / len(self.scores)


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

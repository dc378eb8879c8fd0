"""The matrix, recipes × tasks × seeds with options: what each run would be, and whether it is done.

A run counts as done if its row is there and records the settings that the run would have now. A row
that records others is stale, which is an error: a default changed since, or the label was used for
something else.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

from benchmarks.learning import rows
from surefoot.common.errors import UsageError, closest
from surefoot.common.settings import RunSettings
from surefoot.methods.registry import find_recipe

RANDOM_EPISODES = 100


@dataclasses.dataclass(frozen=True)
class Entry:
    """One run of the matrix."""

    recipe: str
    task: str
    seed: int
    steps: int
    options: dict[str, Any]
    """Fields of `surefoot.common.settings.RunSettings` and of the recipe."""
    folder: Path

    @property
    def stem(self) -> str:
        """What the files of all seeds begin with."""
        steps = "" if self.recipe == rows.RANDOM else f"-{self.steps}"
        return re.sub(r"[^\w.-]", "_", f"{self.recipe}-{self.task}") + steps

    @property
    def path(self) -> Path:
        """Where the row lies."""
        return self.folder / f"{self.stem}-{self.seed}.json"

    def settings(self) -> dict[str, Any]:
        """What `rows.settings` of this run's row is. Raises `UsageError` for an option that the
        recipe does not take."""
        if self.recipe == rows.RANDOM:
            return {"recipe": self.recipe, "task": self.task, "episodes": RANDOM_EPISODES}
        kind = find_recipe(self.recipe)
        of_setup = {field.name for field in dataclasses.fields(RunSettings)}
        of_recipe = {field.name for field in dataclasses.fields(kind)}
        for name in self.options:
            if name in ("seed", "steps") or name not in of_setup | of_recipe:
                accepted = sorted((of_setup | of_recipe) - {"seed", "steps"})
                raise UsageError(
                    f"--set {name!r} for {self.recipe}; accepted are {', '.join(accepted)}."
                    f"{closest(name, accepted)}"
                )
        setup = {name: value for name, value in self.options.items() if name in of_setup}
        rest = {name: value for name, value in self.options.items() if name in of_recipe}
        row = {
            "recipe": self.recipe,
            "task": self.task,
            "hyperparameters": kind(**rest).hyperparameters(),
            "setup": dataclasses.asdict(RunSettings(steps=self.steps, **setup)),
        }
        # As JSON gives it back: what is compared has been through a file.
        flat: dict[str, Any] = json.loads(json.dumps(rows.settings(row)))
        return flat


def entries(
    recipes: list[str],
    tasks: list[str],
    seeds: list[int],
    *,
    steps: int,
    options: dict[str, Any],
    label: str | None,
    results: Path,
) -> list[Entry]:
    """The matrix, all recipes and tasks of a seed before the next seed. The random policy, which no
    option changes, has a folder of its own."""
    if label is None:
        label = "-".join(f"{name}={value}" for name, value in options.items()) or "defaults"
    if not re.fullmatch(r"[^\s./\\][^/\\]*", label):
        raise UsageError(f"label {label!r}; accepted is a folder's name: pass another --label")
    matrix = [
        Entry(recipe, task, seed, steps, options, results / label)
        for seed in seeds
        for task in tasks
        for recipe in recipes
    ]
    random = [
        dataclasses.replace(entry, options={}, folder=results / rows.RANDOM)
        if entry.recipe == rows.RANDOM
        else entry
        for entry in matrix
    ]
    return list({entry.path: entry for entry in random}.values())


def missing(matrix: list[Entry]) -> list[Entry]:
    """The entries that have no row. Raises `UsageError` if a row is stale: one of another seed as
    well, which would have to share a line of the table with those to come."""
    stale = {}
    for entry in {entry.folder / entry.stem: entry for entry in matrix}.values():
        settings = entry.settings()
        for path in sorted(entry.folder.glob(f"{entry.stem}-*.json")):
            if path.stem.rpartition("-")[0] == entry.stem:
                differing = rows.differences(rows.settings(rows.read(path)), settings)
                if differing:
                    stale[path] = differing
    if stale:
        path, differing = next(iter(stale.items()))
        changes = ", ".join(f"{k} was {old}, is {new}" for k, (old, new) in differing.items())
        others = f" (and {len(stale) - 1} more)" if len(stale) > 1 else ""
        raise UsageError(
            f"{path}{others} is a result of other settings ({changes}): pass another --label or "
            "delete the file"
        )
    return [entry for entry in matrix if not entry.path.exists()]

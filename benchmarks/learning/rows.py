"""A run's result: one JSON file of less than 4 kB, whole or not there at all.

A row holds everything that its numbers depend on, so that rows of different settings are never
taken for one another.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

from surefoot.common.errors import UsageError
from surefoot.common.settings import RunSettings
from surefoot.methods.registry import RECIPES
from surefoot.runs.folder.config_file import with_before

Row = dict[str, Any]
ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"
FIELDS = {"seed", "steps", "last_100", "deterministic_20", "curve"}
"""What the table and the curves are made of, beside the settings."""
RANDOM = "random"
"""The uniformly random policy: a recipe to this benchmark, and the folder of its rows."""


def rounded(value: float | None) -> float | None:
    """Five significant digits; `None` where there is no number."""
    return float(f"{value:.5g}") if value is not None and math.isfinite(value) else None


def write(path: Path, row: Row) -> None:
    """Write the row beside its place, then rename it into it."""
    lines = (
        f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in row.items()
    )
    beside = path.with_suffix(f".{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with beside.open("w") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)


def read(path: Path) -> Row:
    """The row in a file. Raises `UsageError` if it is none."""
    try:
        row: Row = json.loads(path.read_text())
        whole = isinstance(row, dict) and row.keys() >= FIELDS and bool(settings(row))
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise UsageError(f"{path} is no row of this benchmark: delete it")
    return row


def settings(row: Row) -> dict[str, Any]:
    """All that defines a run but its seed, flat. An option that the row does not know came later,
    and its default, or what `with_before` says, is what was done before."""
    later: dict[str, Any] = {}
    if row["recipe"] in RECIPES:
        defaults = {
            **RECIPES[row["recipe"]]().hyperparameters(),
            **dataclasses.asdict(RunSettings()),
        }
        later = json.loads(json.dumps(with_before(defaults)))
    flat = {"recipe": row["recipe"], "task": row["task"], **later}
    flat |= {**row["hyperparameters"], **row["setup"]}
    flat.pop("seed", None)
    return flat


def differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """The settings in which two runs differ, by name, with the value of each as text."""
    return {
        name: pair
        for name in sorted(one.keys() | other.keys())
        if (pair := (value_text(one, name), value_text(other, name)))[0] != pair[1]
    }


def value_text(flat: dict[str, Any], name: str) -> str:
    """A setting's value, or that it has none."""
    return json.dumps(flat[name]) if name in flat else "unset"

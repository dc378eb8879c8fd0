"""Rows that were parsed as columns of numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from surefoot.common.files.json_reading import number


def columns(rows: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Every number of the rows by its name, one a row; NaN where a row has none. Parts of an object
    and of a list have the name of both, `timing.total` or `std.0`."""
    found: dict[str, np.ndarray] = {}
    for place, row in enumerate(rows):
        for name, value in _flat(row):
            if name not in found:
                found[name] = np.full(len(rows), np.nan)
            found[name][place] = value
    return found


def _flat(row: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers in a row by their columns' names; episodes are told apart from them."""
    for name, value in row.items():
        if name in ("episode_returns", "episode_lengths"):
            continue
        if isinstance(value, dict):
            parts = [(f"{name}.{key}", part) for key, part in value.items()]
        elif isinstance(value, list):
            parts = [(f"{name}.{index}", part) for index, part in enumerate(value)]
        else:
            parts = [(name, value)]
        for key, part in parts:
            known = number(part)
            if known is not None:
                yield key, known

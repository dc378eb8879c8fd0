"""Iterations that are played again, against the rows that they have in `metrics.jsonl`."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from surefoot.common.errors import UsageError
from surefoot.common.files import json_reading
from surefoot.common.files.regular_file import lines as lines_of
from surefoot.common.files.regular_file import open_to_read
from surefoot.runs.folder.diagnostic_table import known
from surefoot.runs.folder.metrics_file import as_row
from surefoot.training.iteration import Iteration

#: What KL, entropy and episodes' returns may differ by, relatively, on another machine or version.
TOLERANCE = 0.01
# Of these no two processes have the same.
_OF_THE_PROCESS = ("timing", "env_restarts")
# These are counted, and no rounding changes them a little.
_COUNTED = known("steps", "valid_rows", "episode_lengths")
_MEASURED = known("kl_mean", "entropy", "episode_returns")


def read(path: Path, iteration: int | None) -> list[dict[str, Any]]:
    """The rows of a metrics file up to that iteration's, or all. Raises `UsageError` where the file
    is none, or has no such iteration."""
    upto = None if iteration is None else max(iteration + 1, 1)
    try:
        with open_to_read(path) as file:
            # A run that is still going on may not have finished its last line.
            lines = [x for x in itertools.islice(lines_of(file), upto) if x.endswith(b"\n")]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error!r}") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        one = json_reading.row(line)
        if one is None:
            raise UsageError(f"{path} cannot be read: line {number} holds no JSON object")
        lacking = [name for name in (*_COUNTED, *_MEASURED, "refused") if name not in one]
        if lacking:
            raise UsageError(f"{path} cannot be compared: line {number} lacks {', '.join(lacking)}")
        rows.append(one)
    if [one.get("iteration") for one in rows] != list(range(len(lines))):
        raise UsageError(f"{path} does not have every iteration once; it was changed")
    if not rows:
        raise UsageError(f"{path} has no iteration yet: wait for the first one")
    if iteration is not None and not 0 <= iteration < len(rows):
        last = f"to {len(rows) - 1}" if iteration >= 0 else "or more"
        raise UsageError(f"iteration is {iteration}; accepted is 0 {last}, which {path.parent} has")
    return rows


def equal(told: Iteration, written: dict[str, Any]) -> bool:
    """Whether an iteration came out as its row says, bit for bit."""
    return _facts(json.loads(json.dumps(as_row(told)))) == _facts(written)


def difference(told: Iteration, written: dict[str, Any]) -> str | None:
    """What shows that an iteration is not the one of its row, in words: what is counted must be
    the same, KL, entropy and episodes' returns up to `TOLERANCE`. A trust region keeps the KL of
    any run where it is: only together do they say that this is the same one."""
    row = as_row(told)
    for name in _COUNTED:
        if row[name] != written[name]:
            return _said(name, row[name], written[name])
    for name in _MEASURED:
        now, then = (np.asarray(x[name], np.float64) for x in (row, written))
        # Of the largest return: near zero, a share of a return itself says little.
        most = TOLERANCE * np.abs(then[np.isfinite(then)]).max(initial=0.0)
        same = np.isclose(now, then, rtol=0.0, atol=most, equal_nan=True)
        if not same.all():
            return _said(name, now[~same].flat[0], then[~same].flat[0])
    return None


def _said(name: str, now: Any, then: Any) -> str:
    if isinstance(then, list):
        return f"{name} are others than they were"
    return f"{name} is {now:.6g} and was {then:.6g}"


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _OF_THE_PROCESS}

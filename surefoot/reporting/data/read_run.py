"""`read`: a run's folder as its `Log`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from surefoot.common.errors import UsageError
from surefoot.common.files.json_reading import number
from surefoot.common.files.regular_file import lines, open_to_read
from surefoot.reporting.data.run_log import Evaluations, Log
from surefoot.reporting.data.scan_rows import Scan, parse
from surefoot.runs.folder import config_file
from surefoot.runs.folder.history_columns import HistoryColumns
from surefoot.runs.folder.step_budget import made_longer, stretched

#: Rows of which everything is read: more than a figure is wide.
DETAIL = 2000


def read(folder: Path, detail: int = DETAIL) -> Log:
    """The run in a folder, about `detail` of its rows in detail. Raises `UsageError` if it is no
    run's."""
    config = config_file.read_identified(folder)
    planned = config["setup"].get("steps")
    budget = made_longer(folder, planned) if isinstance(planned, int) else None
    path = folder / "metrics.jsonl"
    every = max(1, -(-_count_lines(path) // detail)) if detail else 0
    scan, details = Scan(), HistoryColumns(joint=".")
    for place, line in enumerate(_lines(path)):
        if every and place % every == 0:
            row = parse(line)
            if row is not None:
                details.add(row)
        scan.add(line)
    notes = []
    if scan.broken:
        which = "a line" if scan.broken == 1 else f"{scan.broken:,} lines"
        notes.append(f"{which} of {path.name} could not be read, half-written for instance")
    evaluations, broken = _read_evaluations(folder / "evaluations.jsonl")
    if broken:
        notes.append(f"{broken:,} lines of evaluations.jsonl could not be read")
    if budget is not None and budget != planned:
        kept = "spread over all of them" if stretched(folder) else "kept to the first of these"
        notes.append(
            f"the run was made longer, from {planned:,} to {budget:,} steps; schedules {kept}"
        )
    return Log(
        folder=folder,
        config=config,
        columns={
            name: values.astype(float)
            for name, values in details.history().items()
            if name != "episodes" and not name.startswith(("episode_return.", "episode_length."))
        },
        every=max(every, 1),
        evaluations=evaluations,
        notes=tuple(notes),
        budget=budget,
        **scan.numbers()._asdict(),
    )


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with open_to_read(path) as file:
            yield from lines(file)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _count_lines(path: Path) -> int:
    return sum(1 for _ in _lines(path))


def _read_evaluations(path: Path) -> tuple[Evaluations | None, int]:
    points, broken = [], 0
    for line in _lines(path):
        row = parse(line) or {}
        point = [number(row.get(key)) for key in ("steps", "mean", "std")]
        if None in point:
            broken += bool(line.strip())
        else:
            points.append(point)
    if not points:
        return None, broken
    return Evaluations(*np.array(points, float).T), broken

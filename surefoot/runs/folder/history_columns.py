"""Rows of metrics as columns: as they come, or of a run's folder when they are asked for."""

from __future__ import annotations

import functools
import math
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from surefoot.agents.history import History
from surefoot.common.errors import UsageError
from surefoot.common.files.json_reading import integer, number, row
from surefoot.common.files.regular_file import lines, open_to_read
from surefoot.runs.folder.flat_row import flat_row


class HistoryColumns:
    """Columns that grow by a row at a time."""

    def __init__(self, joint: str = "_") -> None:
        """`joint` stands in the names of columns between those of a field and of its parts."""
        self._rows, self._joint = 0, joint
        # Integers as such, as long as a column has nothing else: a count is exact.
        self._columns: dict[str, array[int] | array[float]] = {}

    def add(self, told: dict[str, Any]) -> None:
        """One more row, as in `metrics.jsonl`. What is no number is NaN."""
        self._add(flat_row(told, self._joint))

    def add_with(self, told: dict[str, Any], evaluation: dict[str, Any] | None) -> None:
        """One more row, with the line of `evaluations.jsonl` that belongs to it."""
        both = flat_row(told, self._joint)
        for name in ("mean", "std"):
            both[f"evaluation_{name}"] = None if evaluation is None else evaluation.get(name)
        self._add(both)

    def _add(self, told: dict[str, Any]) -> None:
        for name, value in told.items():
            column = self._columns.get(name)
            if column is None:
                column = array("d", [math.nan] * self._rows) if self._rows else array("q")
                self._columns[name] = column
            try:
                # Of integers a float is refused, and of both what is no number.
                column.append(value)
            except (TypeError, OverflowError):
                self._columns[name] = _with_other(column, value)
        self._rows += 1
        if len(told) < len(self._columns):
            for name in self._columns.keys() - told.keys():
                self._columns[name] = _with_other(self._columns[name], None)

    def history(self) -> History:
        """What there is so far."""
        return History({name: np.array(values) for name, values in self._columns.items()})


def _with_other(column: Any, value: Any) -> Any:
    """The column as floats, with what is no integer, or none that fits, as its next number."""
    found = number(value)
    if column.typecode == "q":
        column = array("d", column)
    column.append(math.nan if found is None else found)
    return column


def history_of(folder: Path) -> Callable[[], History]:
    """What reads the history of the run in a folder, wherever the process goes meanwhile."""
    return functools.partial(read_history, folder.absolute())


def read_history(folder: Path) -> History:
    """The history of the run in a folder. A line that is no row, half-written for instance, is
    passed over. Raises `UsageError` where there are no metrics."""
    path = folder / "metrics.jsonl"
    columns = HistoryColumns()
    try:
        evaluated = _evaluations(folder / "evaluations.jsonl")
        with open_to_read(path) as file:
            for line in lines(file):
                told = row(line)
                if told is None:
                    continue
                if evaluated:
                    columns.add_with(told, evaluated.get(integer(told.get("steps"))))
                else:
                    columns.add(told)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}; a history is read from the run's folder"
        ) from None
    return columns.history()


def _evaluations(path: Path) -> dict[Any, dict[str, Any]]:
    """The lines by their steps."""
    if not path.is_file():
        return {}
    with open_to_read(path) as file:
        found = [told for line in lines(file) if (told := row(line)) is not None]
    return {told["steps"]: told for told in found if integer(told.get("steps")) is not None}

"""`metrics.csv`: a line an iteration, a column a number.

A method's fields are those of its first row. A field that only a later row brings, as after an
update of the library, gets a column at the end, which is empty in the rows before.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from surefoot.common.files.append_only import AppendOnlyFile
from surefoot.common.files.atomic import beside
from surefoot.runs.folder.flat_row import flat_row
from surefoot.runs.loggers.base import Entry


def _line(values: list[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode()


class Table:
    """The file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: list[str] = []
        self._file = AppendOnlyFile(path)
        self._waiting: list[dict[str, Any]] = []
        """Rows whose columns are not all there yet."""

    def write(self, entry: Entry) -> None:
        self._waiting.append(flat_row(entry.row))
        self._flush()

    def _flush(self) -> None:
        names = dict.fromkeys(name for row in self._waiting for name in row)
        more = [name for name in names if name not in self._columns]
        if more and self._columns:
            self._widen(more)
        elif more:
            self._file.add(_line(more))
        self._columns += more
        for row in self._waiting:
            self._file.add(_line([row.get(name) for name in self._columns]))
        self._waiting.clear()
        self._file.flush()

    def _widen(self, more: list[str]) -> None:
        """Give the lines that are there these columns, empty. An `OSError` leaves the file as it
        is."""
        self._file.flush()
        head, _, lines = self.path.read_bytes().partition(b"\n")
        empty = b"," * len(more) + b"\n"
        wide = head + b"," + _line(more) + lines.replace(b"\n", empty)
        with beside(self.path, replace=True) as part:
            part.write_bytes(wide)
        self._file.close()
        self._file = AppendOnlyFile(self.path, keep=len(wide))

    def close(self) -> None:
        try:
            if self._waiting or self._file.waiting:
                self._flush()
        finally:
            self._file.close()


def make(folder: Path, config: dict[str, Any]) -> Table:
    """The table of a run's folder."""
    return Table(folder / "metrics.csv")

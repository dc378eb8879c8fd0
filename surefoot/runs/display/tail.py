"""A file of JSON lines that somebody else writes, read as it grows.

Only what is new is read. A last line that is not whole yet is left for later, and a file that was
cut back, as `resume` does, is read again from its beginning.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from surefoot.common.files.json_reading import row
from surefoot.common.files.regular_file import LONGEST_LINE, open_to_read

_CHUNK = 2**24


class News(NamedTuple):
    """What came since the last look."""

    rows: list[dict[str, Any]]
    anew: bool
    """Whether they are those of the whole file, and what was read before counts no more."""


class Tail:
    """The lines of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._last = b""
        self._ended = False

    def read(self) -> News:
        """Those that are new. A line that is no JSON object is passed over, and one that is longer
        than `LONGEST_LINE` is the end. Raises `OSError` where the file cannot be read."""
        anew = self._offset == 0
        rows: list[dict[str, Any]] = []
        with open_to_read(self._path) as file:
            # What ends where we stopped must be what we read last.
            file.seek(self._offset - len(self._last))
            if file.read(len(self._last)) != self._last:
                anew, self._offset, self._last, self._ended = True, 0, b"", False
                file.seek(0)
            rest = b""
            while not self._ended and (chunk := file.read(_CHUNK)):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._offset += len(line) + 1
                    self._last = line[-4096:] + b"\n"
                    found = row(line)
                    if found is not None:
                        rows.append(found)
                self._ended = len(rest) > LONGEST_LINE
        return News(rows, anew)

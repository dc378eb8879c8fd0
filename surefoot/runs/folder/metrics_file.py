"""The metrics file: `metrics.jsonl`, one JSON object an iteration.

It holds whole rows, and every row once. `mark` says how far the file goes, and opening it again at
a mark takes off what came after.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from surefoot.common.files.append_only import AppendOnlyFile
from surefoot.common.files.regular_file import lines, open_to_read
from surefoot.training.iteration import Iteration

# Bytes that are read at once, of a file of any length.
_PART = 2**20


def as_row(iteration: Iteration) -> dict[str, Any]:
    """An iteration as JSON: every diagnostic, the ended episodes, and `timing`, which alone differs
    between two runs of the same seed. Numbers that are not finite become strings ("nan", "inf"),
    which JSON can hold and a reader can see."""
    return {
        "iteration": iteration.number,
        "steps": iteration.steps,
        **{name: as_json(value) for name, value in iteration.metrics.items()},
        "episode_returns": [as_json(float(x)) for x in iteration.episode_returns],
        "episode_lengths": [int(x) for x in iteration.episode_lengths],
        "env_restarts": len(iteration.notices),
        "timing": iteration.timing._asdict(),
    }


def as_json(value: Any) -> Any:
    """The number, or as a string what JSON has no number for; of a list, each."""
    if isinstance(value, list):
        return [as_json(one) for one in value]
    return value if math.isfinite(value) else str(value)


class FilePosition(NamedTuple):
    """How far a file goes."""

    length: int
    """Bytes."""
    sha256: str
    """Of those bytes."""


class JsonLines:
    """A file of one row an iteration, in whole lines."""

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        self._file = AppendOnlyFile(path)
        self._file.open()
        self._digest = hashlib.sha256()

    @classmethod
    def at(cls, path: Path, mark: FilePosition) -> JsonLines:
        """The file again, cut back to a mark. Raises `ValueError` if it is not the same up to
        there."""
        again = cls.__new__(cls)
        again._digest = check(path, mark)
        again._file = AppendOnlyFile(path, keep=mark.length)
        again._file.open()
        return again

    def write(self, row: dict[str, Any]) -> None:
        """Append a row and hand it to the operating system. An `OSError` leaves it to the next
        call."""
        self._file.add(json.dumps(row, allow_nan=False).encode() + b"\n")
        self._flush()

    def _flush(self) -> None:
        self._digest.update(self._file.flush())

    def mark(self) -> FilePosition:
        """How far the file goes, once all that is on the disk."""
        if self._file.waiting:
            self._flush()
        self._file.sync()
        return FilePosition(self._file.length, self._digest.hexdigest())

    def close(self) -> None:
        """Close the file, after a last try to write what could not be written: an `OSError` says
        that it could not."""
        try:
            if self._file.waiting:
                self._flush()
        finally:
            self._file.close()


def check(path: Path, mark: FilePosition) -> Any:
    """The SHA-256 of the file up to the mark, to go on with. Raises `ValueError` if the file is not
    the same up to there."""
    digest = hashlib.sha256()
    with open_to_read(path) as file:
        if os.fstat(file.fileno()).st_size < mark.length:
            raise ValueError(f"{path.name} ends before the checkpoint")
        left = mark.length
        while left > 0 and (part := file.read(min(left, _PART))):
            digest.update(part)
            left -= len(part)
    if digest.hexdigest() != mark.sha256:
        raise ValueError(f"{path.name} is not what it was")
    return digest


def read_rows(path: Path, mark: FilePosition) -> Iterator[dict[str, Any]]:
    """The rows up to a mark."""
    with open_to_read(path) as file:
        left = mark.length
        while left > 0 and (line := next(lines(file), b"")):
            left -= len(line)
            yield json.loads(line)

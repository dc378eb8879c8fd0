"""The metrics file: `metrics.jsonl`, one JSON object an iteration.

What could not be written, on a full disk for instance, is kept and written with the next row, so
that the file holds whole rows, and every row once. `mark` says how far the file goes, and opening
it again at a mark takes off what came after.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from surefoot.loop import Iteration


def as_row(iteration: Iteration) -> dict[str, Any]:
    """An iteration as JSON: every diagnostic, the ended episodes, and `timing`, which alone differs
    between two runs of the same seed. Numbers that are not finite become strings ("nan", "inf"),
    which JSON can hold and a reader can see."""
    return {
        "iteration": iteration.number,
        "steps": iteration.steps,
        **{name: _finite(value) for name, value in iteration.metrics.items()},
        "episode_returns": [_finite(float(x)) for x in iteration.episode_returns],
        "episode_lengths": [int(x) for x in iteration.episode_lengths],
        "env_restarts": len(iteration.notices),
        "timing": iteration.timing._asdict(),
    }


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return value if math.isfinite(value) else str(value)


class Mark(NamedTuple):
    """How far a file goes."""

    length: int
    """Bytes."""
    sha256: str
    """Of those bytes."""


class JsonLines:
    """A file of one row an iteration, in whole lines."""

    def __init__(self, path: Path, *, new: bool = True) -> None:
        # Unbuffered: what a full disk does not take must not be tried again behind our back.
        self._file = path.open("xb" if new else "r+b", buffering=0)
        self._digest = hashlib.sha256()
        self._length = 0
        self._pending = b""

    @classmethod
    def at(cls, path: Path, mark: Mark) -> JsonLines:
        """The file again, cut back to a mark. Raises `ValueError` if it is not the same up to
        there."""
        check(path, mark)
        lines = cls(path, new=False)
        lines._digest.update(path.read_bytes()[: mark.length])
        lines._length = mark.length
        lines._file.truncate(mark.length)
        return lines

    def write(self, iteration: Iteration) -> None:
        """Append the iteration's row and hand it to the operating system. An `OSError` leaves the
        row to the next call."""
        self._pending += json.dumps(as_row(iteration), allow_nan=False).encode() + b"\n"
        self._flush()

    def _flush(self) -> None:
        # From where the last whole row ended: a write that failed may have left a part.
        self._file.seek(self._length)
        self._file.truncate()
        left = memoryview(self._pending)
        while left:
            left = left[self._file.write(left) :]
        self._digest.update(self._pending)
        self._length += len(self._pending)
        self._pending = b""

    def mark(self) -> Mark:
        """How far the file goes, once all that is on the disk."""
        if self._pending:
            self._flush()
        os.fsync(self._file.fileno())
        return Mark(self._length, self._digest.hexdigest())

    def close(self) -> None:
        """Close the file, after a last try to write what could not be written: an `OSError` says
        that it could not."""
        try:
            if self._pending:
                self._flush()
        finally:
            self._file.close()


def check(path: Path, mark: Mark) -> None:
    """Raise `ValueError` if the file is not the same up to the mark."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < mark.length:
            raise ValueError(f"{path.name} ends before the checkpoint")
        if hashlib.sha256(file.read(mark.length)).hexdigest() != mark.sha256:
            raise ValueError(f"{path.name} is not what it was")


def read_rows(path: Path, mark: Mark) -> Iterator[dict[str, Any]]:
    """The rows up to a mark."""
    with path.open("rb") as file:
        for line in file.read(mark.length).splitlines():
            yield json.loads(line)

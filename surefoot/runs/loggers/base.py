"""What a logger is, and what it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol


class Entry(NamedTuple):
    """What a sink is given after an iteration."""

    row: dict[str, Any]
    """As in `metrics.jsonl`."""
    evaluation: dict[str, Any] | None
    """The line of `evaluations.jsonl` of this iteration, if it has one."""
    time: float
    """Seconds since the epoch at its end; before a resume, counted back from there."""


class Sink(Protocol):
    """Something that is written row by row."""

    path: Path
    """What is named where it cannot be written."""

    def write(self, entry: Entry) -> None:
        """One more iteration. Raises `OSError` if it cannot be written; what is left to the next
        call then is the sink's matter."""

    def close(self) -> None:
        """Write what could not be written, if that is possible now, and close."""

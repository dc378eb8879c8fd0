"""Reports failed writes (for instance on a full disk) without ending the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


class BestEffortWriter:
    """Writes, or says once of every path that it cannot be written, until it can again."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._failing: set[Path] = set()

    def __call__(self, path: Path, write: Callable[[], object]) -> None:
        """Call `write`, which writes `path`; an `OSError` is reported and goes no further."""
        try:
            write()
        except OSError as error:
            if path not in self._failing:
                self._note(f"{path} cannot be written: {error.strerror}; training goes on")
            self._failing.add(path)
        else:
            self._failing.discard(path)

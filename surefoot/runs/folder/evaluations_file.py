"""`evaluations.jsonl`: one JSON object an evaluation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from surefoot.agents.playing.evaluation import Evaluation
from surefoot.common.files.append_only import AppendOnlyFile
from surefoot.common.files.json_reading import integer, row
from surefoot.common.files.regular_file import lines, open_to_read
from surefoot.runs.folder.metrics_file import as_json


def as_line(steps: int, evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation after that many environment steps as JSON."""
    return {
        "steps": steps,
        "mean": as_json(evaluation.mean),
        "std": as_json(evaluation.std),
        "returns": [as_json(float(x)) for x in evaluation.returns],
        "lengths": [int(x) for x in evaluation.lengths],
    }


class Evaluations:
    """The file, in whole lines."""

    def __init__(self, path: Path, *, upto: int | None = None) -> None:
        """A new file, or with `upto` the one that is there, without what was evaluated after more
        steps than that and what follows a line that is damaged."""
        self.path = path
        self.kept: dict[int, dict[str, Any]] = {}
        """The lines that were there, by their steps."""
        whole = 0
        if upto is not None and path.is_file():
            with open_to_read(path) as file:
                for raw in lines(file):
                    line = row(raw) or {}
                    steps = integer(line.get("steps"))
                    if not raw.endswith(b"\n") or steps is None or steps > upto:
                        break
                    self.kept[steps] = line
                    whole += len(raw)
        self._file = AppendOnlyFile(path, keep=whole if self.kept else None)
        if upto is not None and path.is_file():
            self._file.open()

    def write(self, line: dict[str, Any]) -> None:
        """Append a line. An `OSError` leaves it to the next call."""
        self._file.add(json.dumps(line, allow_nan=False).encode() + b"\n")
        self._file.flush()

    def flush(self) -> None:
        """Have on the disk what goes with a checkpoint. Raises `OSError` if it cannot be."""
        if self._file.waiting:
            self._file.flush()
        if self._file.length:
            self._file.sync()

    def close(self) -> None:
        """Close the file, after a last try to write what could not be written."""
        try:
            if self._file.waiting:
                self._file.flush()
        finally:
            self._file.close()

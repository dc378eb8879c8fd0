"""The files that a run appends to after every iteration: rows, evaluations, loggers, the best
agent."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from surefoot.common.arrays import Snapshot
from surefoot.common.files.best_effort import BestEffortWriter
from surefoot.runs.best_agent import BestAgent
from surefoot.runs.folder.checkpoints import Checkpoint
from surefoot.runs.folder.evaluations_file import Evaluations, as_line
from surefoot.runs.folder.metrics_file import FilePosition, JsonLines, read_rows
from surefoot.runs.loggers import Sinks
from surefoot.runs.loggers.base import Entry
from surefoot.runs.run import Run
from surefoot.training.iteration import Iteration


class RunFiles:
    """One run's files. A failed write is reported; training continues."""

    def __init__(
        self,
        run: Run,
        folder: Path,
        best_effort: BestEffortWriter,
        rows: JsonLines,
        *,
        resumed: Checkpoint | None = None,
    ) -> None:
        self._folder, self._best_effort, self._rows = folder, best_effort, rows
        self._sinks = Sinks(run.settings.log, folder, run.config(), best_effort)
        self._evaluations: Evaluations | None = None
        self._best: BestAgent | None = None
        if run.settings.evaluate_every:
            upto, saved = (None, None) if resumed is None else (resumed.steps, resumed.best)
            self._evaluations = Evaluations(folder / "evaluations.jsonl", upto=upto)
            self._best = BestAgent(run, folder / "best", best_effort, saved=saved)

    @classmethod
    def new(cls, run: Run, folder: Path, best_effort: BestEffortWriter) -> RunFiles:
        """Of a run that begins. Raises `OSError` if its rows cannot be written."""
        return cls(run, folder, best_effort, JsonLines(folder / "metrics.jsonl"))

    @classmethod
    def again(
        cls, run: Run, folder: Path, best_effort: BestEffortWriter, resumed: Checkpoint
    ) -> RunFiles:
        """Of a run that is gone on with: all of them as they were at that checkpoint."""
        path = folder / "metrics.jsonl"
        files = cls(run, folder, best_effort, JsonLines.at(path, resumed.metrics), resumed=resumed)
        if run.settings.log:
            # Of the wall clock, rows know only how long they took.
            took = (_seconds(row) for row in read_rows(path, resumed.metrics))
            ended = time.time() - sum(took)
            for row in read_rows(path, resumed.metrics):
                ended += _seconds(row)
                files._sinks.write(Entry(row, files.evaluated.get(row["steps"]), ended))
        return files

    @property
    def evaluated(self) -> dict[int, dict[str, Any]]:
        """Lines of the evaluations that there were before, by their steps."""
        return {} if self._evaluations is None else self._evaluations.kept

    @property
    def best(self) -> Snapshot | None:
        """What a checkpoint is to hold of the best agent."""
        return None if self._best is None else self._best.saved

    def add(self, iteration: Iteration, row: dict[str, Any]) -> None:
        """One more iteration, whose row this is."""
        line = None
        if iteration.evaluation is not None:
            line = as_line(iteration.steps, iteration.evaluation)
            evaluations, best = self._evaluations, self._best
            assert evaluations is not None
            assert best is not None
            self._best_effort(evaluations.path, lambda: evaluations.write(line))
            best.add(line)
        self._best_effort(self._folder / "metrics.jsonl", lambda: self._rows.write(row))
        self._sinks.write(Entry(row, line, time.time()))

    def mark(self) -> FilePosition:
        """How far `metrics.jsonl` goes, once it and the evaluations are on the disk. Raises
        `OSError` if they cannot be."""
        if self._evaluations is not None:
            self._evaluations.flush()
        return self._rows.mark()

    def finish(self) -> None:
        """Write what could not be written before."""
        if self._best is not None:
            self._best.write()

    def close(self) -> None:
        """Close them."""
        with contextlib.ExitStack() as closing:
            closing.callback(self._sinks.close)
            if self._evaluations is not None:
                closing.callback(self._best_effort, self._evaluations.path, self._evaluations.close)
            closing.callback(self._best_effort, self._folder / "metrics.jsonl", self._rows.close)


def _seconds(row: dict[str, Any]) -> float:
    timing = row["timing"]
    return float(timing["total"]) + float(timing.get("evaluation") or 0.0)

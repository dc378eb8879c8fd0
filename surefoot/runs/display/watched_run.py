"""Runs on the disk that somebody else may be writing, looked at again and again."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from surefoot.common.files.folder_lock import is_held
from surefoot.common.files.json_reading import integer, number
from surefoot.runs.display.summary import Summary
from surefoot.runs.display.tail import Tail
from surefoot.runs.folder import config_file, step_budget

#: Seconds without a row after which a run may stand still; longer where an iteration takes long.
STILL = 60.0


class RunWatcher:
    """One run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: dict[str, Any] = {}
        """What the run is; empty while that cannot be read. Method, environment, seed and
        hyperparameters are there and of their kinds."""
        self.summary = Summary()
        self.evaluations: list[float] = []
        """Mean returns of its evaluations so far."""
        self.age = 0.0
        """Seconds since its newest row, or since it began."""
        # (steps, mean) of those that say when they were.
        self._points: list[tuple[int, float]] = []
        self._rows = Tail(folder / "metrics.jsonl")
        self._evaluated = Tail(folder / "evaluations.jsonl")
        self._budget = 0
        self._newest: Path | None = None
        # Whether a process is writing it, if that is known. It is not where locks of another
        # machine are not seen: rows come all the same.
        self._written: bool | None = None
        self._locks_tell = True

    def poll(self) -> bool:
        """Read what is new; whether the run is still there."""
        gone = self._written is False
        # Before the rows: the last of them may be written between the two.
        self._written = is_held(self.folder)
        try:
            if not self.config:
                self.config = config_file.read_partial(self.folder)
                self._budget = int(self.config["setup"]["steps"])
            rows = self._rows.read()
            self.age = time.time() - (self.folder / "metrics.jsonl").stat().st_mtime
        except ValueError:
            # Half-written, or of something else.
            self.config = {}
            return True
        except OSError:
            return os.path.isfile(self.folder / config_file.NAME)
        if rows.rows and gone and self._written is False:
            self._locks_tell = False
        if rows.anew:
            self.summary = Summary()
            self.summary.scoring.replace_evaluations(self._points)
        for row in rows.rows:
            self.summary.add(row)
        try:
            evaluated = self._evaluated.read()
        except OSError:
            pass
        else:
            if evaluated.anew:
                self.evaluations, self._points = [], []
            for point in evaluated.rows:
                steps, mean = integer(point.get("steps")), number(point.get("mean"))
                self.evaluations += [] if mean is None else [mean]
                self._points += [] if steps is None or mean is None else [(steps, mean)]
            if evaluated.anew or evaluated.rows:
                self.summary.scoring.replace_evaluations(self._points)
        if self.state == "finished":
            self._poll_budget()
        return True

    def _poll_budget(self) -> None:
        """A run that was made longer says so in its newest checkpoint alone."""
        newest = step_budget.newest_checkpoint(self.folder)
        if newest != self._newest:
            self._budget = step_budget.made_longer(self.folder, self._budget)
            self._newest = newest

    @property
    def total(self) -> int:
        """Environment steps at the end, in whole iterations once their size is known."""
        rows = max(1, self.summary.batch)
        return self._budget // rows * rows

    @property
    def state(self) -> str:
        """One of "starting", "running", "finished", "interrupted", and "stalled": in an iteration
        that takes very long, or interrupted where that cannot be known."""
        summary = self.summary
        if summary.rows and summary.steps + summary.batch > self.total:
            return "finished"
        if self._written is False and self._locks_tell:
            return "interrupted"
        rate = summary.rate
        usual = summary.batch / rate if rate else 0.0
        if self.age > max(STILL, 10 * usual):
            return "stalled"
        return "running" if summary.rows else "starting"

"""The agent of a run's best evaluation, in `best/`.

Checkpoints hold it, too: a run that is resumed has the best of the evaluations up to its
checkpoint, also where a later one had replaced it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from surefoot.agents.agent import Agent
from surefoot.common.arrays import Snapshot, from_named_arrays, to_named_arrays
from surefoot.common.files.best_effort import BestEffortWriter
from surefoot.runs.run import Run


class BestAgent:
    """The best agent so far: by mean return, the earliest of equals."""

    def __init__(
        self, run: Run, path: Path, best_effort: BestEffortWriter, *, saved: Snapshot | None = None
    ) -> None:
        """Nothing yet, or what a checkpoint holds; what lies in the folder is replaced by it."""
        self._run, self._path, self._best_effort = run, path, best_effort
        self.saved = saved
        """What a checkpoint is to hold."""
        self._written = False
        if saved is None:
            shutil.rmtree(path, ignore_errors=True)
        self.write()

    def add(self, line: dict[str, Any]) -> None:
        """The run's agent was evaluated; `line` is that of `evaluations.jsonl`."""
        mean = float(line["mean"])
        if self.saved is None or mean > self.saved.metadata["mean"]:
            state = self._run.state
            metadata = {"steps": line["steps"], "mean": mean, "episodes": len(line["returns"])}
            arrays = to_named_arrays(policy=state.policy, normalizer=state.normalizer)
            if mean == mean:
                self.saved, self._written = Snapshot(arrays, metadata), False
        self.write()

    def write(self) -> None:
        """Write the folder, if it is not written."""
        if self.saved is not None and not self._written:
            self._best_effort(self._path, self._write)

    def _write(self) -> None:
        assert self.saved is not None
        run, (arrays, metadata) = self._run, self.saved
        state = run.state
        parts = from_named_arrays(arrays, policy=state.policy, normalizer=state.normalizer)
        provenance = {**run.config(), "trained_steps": metadata["steps"], "evaluated": metadata}
        Agent(
            parts["policy"],
            parts["normalizer"],
            run.spec,
            environment=run.environment,
            provenance=provenance,
        ).write(self._path)
        self._written = True

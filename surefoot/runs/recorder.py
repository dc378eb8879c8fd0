"""Writes a run's folder, and warns about skipped updates."""

from __future__ import annotations

import contextlib
import json
import shutil
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import BaseFileLock

from surefoot.agents.agent import Agent
from surefoot.common.arrays import Snapshot, to_named_arrays
from surefoot.common.errors import TrainingError, UsageError
from surefoot.common.files.best_effort import BestEffortWriter
from surefoot.common.files.folder_lock import acquire_lock
from surefoot.common.files.json_reading import number
from surefoot.envs.host.episode_history import MAX_KEPT
from surefoot.envs.spaces.encoding import Encoding
from surefoot.methods.learners.finite_guard import CAUSES
from surefoot.runs.folder import checkpoints, config_file
from surefoot.runs.folder.checkpoints import Checkpoint
from surefoot.runs.folder.history_columns import HistoryColumns, history_of
from surefoot.runs.folder.metrics_file import as_row, read_rows
from surefoot.runs.run import Run
from surefoot.runs.run_files import RunFiles
from surefoot.runs.score import Score, Scoring
from surefoot.training.iteration import Iteration

#: Updates in a row that may be skipped.
PATIENCE = 10


class Result(NamedTuple):
    """What a run leaves."""

    agent: Agent
    returns: list[float]
    """Raw returns of all training episodes, in the order in which they ended."""
    score: Score
    """How good it was."""
    steps: int
    """Environment steps done."""
    skipped: int
    """Updates that were skipped."""

    def __repr__(self) -> str:
        episodes = f"{len(self.returns):,} episodes"
        return f"<Result: {self.steps:,} steps, {episodes}, {self.skipped:,} skipped updates>"


class RunRecorder:
    """One run's folder, if it has one, written from the first iteration on, so that what fails
    before leaves nothing behind; and the returns of its episodes. One process at a time may write a
    folder: a second one gets a `UsageError`. That of a run that is `resumed` is held already."""

    def __init__(
        self,
        run: Run,
        folder: Path | None,
        note: Callable[[str], None],
        *,
        command: Sequence[str] | None = None,
        resumed: Checkpoint | None = None,
    ) -> None:
        self._run, self._folder, self._note, self._command = run, folder, note, command
        self._best_effort = BestEffortWriter(note)
        self._files: RunFiles | None = None
        self.returns = array("d")
        """Raw returns of all training episodes so far."""
        self.scoring = Scoring()
        """How good it is so far."""
        self._steps = self._skipped = self._in_a_row = 0
        # Of a run without a folder alone.
        self._columns = HistoryColumns()
        self._env_restarts_at: list[int] = []
        self._stretched_at: Sequence[int] = ()
        self._critic_told = self._length_told = False
        self._held: BaseFileLock | None = None
        if resumed is not None:
            assert folder is not None
            self._files = RunFiles.again(run, folder, self._best_effort, resumed)
            self._env_restarts_at, self._steps = list(resumed.env_restarts_at), resumed.steps
            self._stretched_at = resumed.stretched_at
            checkpoints.tidy(folder / "checkpoints", after=resumed.iterations)
            checkpoints.sweep(folder)
            for row in read_rows(folder / "metrics.jsonl", resumed.metrics):
                returns = [float(x) for x in row["episode_returns"]]
                self.returns.extend(returns)
                self.scoring.add(row["steps"], returns)
                self._count(bool(row["refused"]))
            for steps, line in self._files.evaluated.items():
                mean = number(line.get("mean"))
                if mean is not None:
                    self.scoring.add_evaluation(steps, mean)

    def add(self, iteration: Iteration, *, save: bool) -> dict[str, Any]:
        """One more iteration, with a checkpoint if that is to be: its row. Raises `TrainingError`
        if too many updates in a row were skipped."""
        returns = iteration.episode_returns.tolist()
        self.returns.extend(returns)
        self.scoring.add(iteration.steps, returns)
        if iteration.evaluation is not None:
            self.scoring.add_evaluation(iteration.steps, iteration.evaluation.mean)
        self._steps = iteration.steps
        skipped = self._count(bool(iteration.metrics["refused"]))
        row = as_row(iteration)
        if self._folder is None:
            self._columns.add(row)
        else:
            files = self._files = self._files or self._begin(self._folder)
            files.add(iteration, row)
            if save:
                self.save(iteration)
        if skipped:
            self._warn_skipped(iteration)
        elif iteration.metrics.get("critic_refused") and not self._critic_told:
            self._critic_told = True
            self._note(
                f"the critic's fit of iteration {iteration.number} was refused: something was not "
                "finite; critic_refused counts in metrics.jsonl"
            )
        return row

    def save(self, iteration: Iteration) -> None:
        """Write a checkpoint after this iteration, and the agent."""
        # While updates are skipped, environments may stand where they never come back from.
        if self._folder is None or iteration.metrics["refused"]:
            return
        assert iteration.snapshot is not None, "a compiled program goes on"
        env_snapshot = iteration.snapshot()
        if env_snapshot.metadata.get("too_long") and not self._length_told:
            self._length_told = True
            self._note(
                f"an episode is longer than {MAX_KEPT:,} steps, and is not kept: a resumed run "
                "begins new ones; a time limit (gymnasium.wrappers.TimeLimit) ends them"
            )
        self._best_effort(
            self._folder / "checkpoints", lambda: self._checkpoint(iteration, env_snapshot)
        )
        self._write_agent()

    def _count(self, skipped: bool) -> bool:
        self._skipped += skipped
        self._in_a_row = self._in_a_row + 1 if skipped else 0
        return skipped

    def _warn_skipped(self, iteration: Iteration) -> None:
        text = (
            f"the update of iteration {iteration.number} was refused: "
            f"{reason(iteration, self._run.spec.observation_space)}"
        )
        if self._in_a_row == 1:
            self._note(f"{text}; nothing was learned from it")
        if self._in_a_row >= PATIENCE:
            began = iteration.number - PATIENCE + 1
            kept = "" if self._folder is None else f"; {self._folder} has the last good checkpoint"
            raise TrainingError(
                f"{text}, the last of {PATIENCE} in a row; it began at iteration {began}{kept}"
            )

    def _begin(self, folder: Path) -> RunFiles:
        config = self._run.config()
        if self._command is not None:
            config["command"] = list(self._command)
        text = json.dumps(config, indent=2)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            raise UsageError(f"{folder} was made by another process; pass another path") from None
        except OSError as error:
            raise UsageError(f"{folder} cannot be made: {error.strerror}") from None
        with contextlib.ExitStack() as on_error:
            on_error.callback(shutil.rmtree, folder)
            self._held = acquire_lock(folder)
            try:
                (folder / config_file.NAME).write_text(text + "\n", encoding="utf-8")
                files = RunFiles.new(self._run, folder, self._best_effort)
            except OSError as error:
                raise UsageError(f"{folder} cannot be written: {error.strerror}") from None
            on_error.pop_all()
        return files

    def _checkpoint(self, iteration: Iteration, env_snapshot: Snapshot) -> None:
        assert self._folder is not None
        assert self._files is not None
        run = self._run
        checkpoint = Checkpoint(
            config=run.config(),
            iterations=iteration.number + 1,
            steps=iteration.steps,
            budget=run.budget,
            metrics=self._files.mark(),
            env_restarts_at=self._env_restarts_at,
            stretched_at=self._stretched_at,
            state=to_named_arrays(learner=iteration.state),
            env_snapshot=env_snapshot,
            best=self._files.best,
        )
        checkpoints.write(self._folder / "checkpoints", checkpoint)

    def _write_agent(self) -> None:
        assert self._folder is not None
        path = self._folder / "agent"
        self._best_effort(path, lambda: self._run.agent().write(path))

    def finish(self) -> Result:
        """What the run leaves; its folder has it all."""
        if self._folder is not None:
            self._write_agent()
        if self._files is not None:
            self._files.finish()
        agent = self._run.agent()
        if self._folder is None:
            agent.attach_run(None, self._columns.history())
        else:
            agent.attach_run(self._folder, history_of(self._folder))
        returns, score = self.returns.tolist(), self.scoring.score
        return Result(agent, returns, score, self._steps, self._skipped)

    def close(self) -> None:
        """Close the folder's files."""
        if self._files is not None:
            self._files.close()
        if self._held is not None:
            self._held.release()


def reason(iteration: Iteration, space: Any) -> str:
    """Why an update was skipped, for a user."""
    row = iteration.metrics
    where = f"environment {row['refused_environment']:.0f}"
    match CAUSES[int(row["refused_cause"])]:
        case "an observation":
            return f"{_component(space, row['refused_component'])} of {where} is not finite"
        case "a reward":
            return f"a reward of {where} is not finite"
        case _:
            names = [name for name, x in row.items() if not np.all(np.isfinite(x))]
            found = f" ({', '.join(names)})" if names else ""
            return f"advantages, a gradient or new parameters are not finite{found}"


def _component(space: Any, index: float) -> str:
    encoding = Encoding(space)
    return encoding.component(int(index)) if index < encoding.size else "an image"

"""A run that stands where its newest intact checkpoint says, not yet going on."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from surefoot.agents.playing.policy_spec import EnvLike
from surefoot.common import jax_setup
from surefoot.common.arrays import from_named_arrays
from surefoot.common.errors import UsageError
from surefoot.common.files.folder_lock import acquire_lock
from surefoot.common.files.regular_file import open_to_read
from surefoot.methods.families.base import Recipe
from surefoot.methods.learners.learner import Learner, stretched
from surefoot.runs import loggers
from surefoot.runs.earlier.rebuild import (
    match_cores,
    rebuild_environment,
    rebuild_method,
    rebuild_settings,
    run_folders,
    version_differences,
)
from surefoot.runs.earlier.schedule_end import schedule_end
from surefoot.runs.folder import checkpoints
from surefoot.runs.folder.checkpoints import Checkpoint
from surefoot.runs.folder.own_files import check_own
from surefoot.runs.run import DEFAULT_MAKES, Makes, Run


class Restored(NamedTuple):
    """A run that stands where a checkpoint says."""

    folder: Path
    run: Run
    checkpoint: Checkpoint
    warnings: list[str]
    """Why it may not be exactly the run that it was."""

    @property
    def total(self) -> int:
        """Environment steps at its end."""
        return self.run.budget // self.run.rows * self.run.rows

    def __str__(self) -> str:
        told, run = self.checkpoint, self.run
        if run.complete(told.steps):
            return (
                f"{run.name} on {run.env_name} is complete, {told.steps:,} of {self.total:,} "
                f"steps; --steps {told.steps + run.rows} or more makes it longer"
            )
        episodes = told.env_snapshot.metadata.get("episodes")
        played = "" if not episodes else f", {len(episodes)} running episodes played again"
        later = self._later()
        anew = "" if not later else f"; {later:,} later iterations are made again"
        return (
            f"{run.name} on {run.env_name} restored after iteration {told.iterations}, "
            f"{told.steps:,} of {self.total:,} steps{played}{anew}"
        )

    def _later(self) -> int:
        """Rows that came after the checkpoint."""
        with open_to_read(self.folder / "metrics.jsonl") as file:
            file.seek(self.checkpoint.metrics.length)
            return file.read().count(b"\n")


@contextlib.contextmanager
def restored(
    folder: Path,
    *,
    steps: int | None = None,
    env: EnvLike | None = None,
    algorithm: Recipe | Learner | None = None,
    makes: Makes = DEFAULT_MAKES,
    stretch_schedule: bool = False,
) -> Iterator[list[Restored]]:
    """The runs in a folder as they were: one, or all that were trained side by side. Nobody else
    writes them until the context ends, which closes their environments, too."""
    jax_setup.configure_before_compute()
    folders = run_folders(folder)
    runs = []
    with contextlib.ExitStack() as closing:
        # Before anything is read: what a process still writes is not where the run will stand.
        for path in folders:
            check_own(path, within=folder)
            closing.callback(acquire_lock(path).release)
        found = _found(folders)
        match_cores(found[0][0].config, folders[0])
        for path, (checkpoint, warnings) in zip(folders, found, strict=True):
            run = _rebuilt(path, checkpoint.config, env, algorithm, makes)
            closing.callback(run.close)
            budget = _budget(checkpoint, run, path, steps)
            runs.append(
                _put_back(Restored(path, run, checkpoint, warnings), budget, stretch_schedule)
            )
        yield runs


def _rebuilt(
    path: Path,
    config: dict[str, Any],
    env: EnvLike | None,
    algorithm: Recipe | Learner | None,
    makes: Makes,
) -> Run:
    """The run that a configuration describes."""
    recipe = rebuild_method(config, path, algorithm)
    source = rebuild_environment(config, path, env)
    settings = rebuild_settings(config, path)
    loggers.check(settings.log)
    run = Run(config["algorithm"], recipe, source, settings, makes)
    if run.env_name != config["environment"]:
        run.close()
        raise UsageError(
            f"{path} was trained on {config['environment']} and not on {run.env_name}: "
            "pass the same environment"
        )
    return run


def _put_back(one: Restored, budget: int, stretch_schedule: bool) -> Restored:
    """The run where its checkpoint says, to go on to so many steps."""
    path, run, checkpoint, warnings = one
    try:
        state = from_named_arrays(checkpoint.state, learner=run.state)["learner"]
    except ValueError as error:
        raise UsageError(f"{path} does not fit what is to go on with it: {error}") from None
    planned, total = int(state.total_steps), budget // run.rows * run.rows
    left = schedule_end(run.learner) if total > planned else None
    if left is not None and stretch_schedule:
        state = stretched(state, total)
        again = [*checkpoint.stretched_at, checkpoint.iterations]
        checkpoint = checkpoint._replace(stretched_at=again)
    elif left is not None and checkpoint.steps + run.rows <= budget:
        warnings.append(
            f"its schedule ends with the {planned:,} steps that were planned: from there "
            f"to {total:,} it has {left}; --stretch-schedule, or stretch_schedule=True in "
            "Python, spreads it over all of them"
        )
    moved = run.restore(
        state,
        checkpoint.env_snapshot,
        iterations=checkpoint.iterations,
        steps=checkpoint.steps,
        budget=budget,
    )
    if moved is not None:
        anew = [*checkpoint.env_restarts_at, checkpoint.iterations]
        checkpoint = checkpoint._replace(env_restarts_at=anew)
        warnings.append(f"episodes begin anew, so the run is not exactly the same: {moved}")
    differing = version_differences(checkpoint.config)
    if differing:
        warnings.append(f"numbers may differ from those of a run without a break: {differing}")
    return one._replace(checkpoint=checkpoint)


def _found(folders: Sequence[Path]) -> list[tuple[Checkpoint, list[str]]]:
    """The newest intact checkpoint of each run, all after the same number of iterations, and what
    is wrong with newer ones."""
    upto = None
    while True:
        found = [
            checkpoints.newest(f / "checkpoints", f / "metrics.jsonl", upto=upto) for f in folders
        ]
        numbers = {checkpoint.iterations for checkpoint, _ in found}
        if len(numbers) == 1:
            return found
        upto = min(numbers)


def _budget(checkpoint: Checkpoint, run: Run, path: Path, steps: int | None) -> int:
    """Steps that the run goes on to."""
    if steps is None:
        return checkpoint.budget
    # A `UsageError` for what no run may have.
    steps = dataclasses.replace(run.settings, steps=steps).steps
    least = max(checkpoint.steps + run.rows, checkpoint.budget)
    if steps < least:
        raise UsageError(
            f"steps is {steps:,}; accepted is {least:,} or more, the whole run's: {path} has "
            f"done {checkpoint.steps:,} of {checkpoint.budget:,}, {run.rows:,} an iteration"
        )
    return steps

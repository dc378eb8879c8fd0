"""`replay`: one iteration of a run once more, from what its folder holds.

A run is a function of its configuration and seed. The iteration is reached from the nearest
checkpoint at or before it, or from the run's beginning where none of those kept is as old, or
where environments cannot be put back where they stood. Every iteration on the way is compared with
its row in `metrics.jsonl`: what comes out otherwise is not the run that is asked about, and is
refused. The folder is only read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from surefoot import runtime
from surefoot.agent import Source
from surefoot.algorithm import Algorithm
from surefoot.config import Setup
from surefoot.envs.spaces import observation_size
from surefoot.errors import UsageError
from surefoot.learner import Learner
from surefoot.loop import Iteration
from surefoot.named import filled
from surefoot.networks import Policy
from surefoot.recipes import Recipe
from surefoot.resuming import environment_of, method_of, run_folders
from surefoot.run import Run
from surefoot.runs import checkpoints
from surefoot.runs.checkpoints import Checkpoint
from surefoot.runs.metrics import as_row
from surefoot.runs.progress import Display, Silent
from surefoot.types import Batch
from surefoot.wrappers import Remember

#: What an update's KL and entropy may differ by, relatively, on another machine or version.
TOLERANCE = 0.01
# Of these no two processes have the same.
_OF_THE_PROCESS = ("timing", "env_restarts")


class Replayed(NamedTuple):
    """One iteration's update of the policy."""

    method: str
    """What the run was trained by."""
    environment: str
    iteration: int
    """Counts from 0."""
    old: Policy
    """The policy before the update, which collected the batch."""
    new: Policy
    """The policy after it."""
    batch: Batch
    """What the policy's update learned from."""
    discount: float
    """γ."""
    hyperparameters: dict[str, Any]
    """The method's."""
    row: dict[str, Any]
    """The iteration in `metrics.jsonl`."""
    began: int
    """The iteration that the replay began with."""
    from_checkpoint: bool
    """Whether it began with a checkpoint, not with the run's beginning."""
    exact: bool
    """Whether every iteration that was replayed equals its row in `metrics.jsonl` bit for bit."""

    def __str__(self) -> str:
        text = f"{self.method} on {self.environment}, iteration {self.iteration}"
        where = f"a checkpoint before iteration {self.began}"
        if not self.from_checkpoint:
            where = "the run's beginning: no checkpoint that it could go on from is as old"
        number = self.iteration + 1 - self.began
        many = f"{number} iteration{'s' if number > 1 else ''}"
        same = "equal to metrics.jsonl bit for bit"
        if not self.exact:
            same = (
                f"equal to metrics.jsonl up to {TOLERANCE:.0%} of KL and entropy, not bit for bit"
            )
        return f"{text}, replayed from {where} ({many}, {same})"


def replay(
    folder: str | Path,
    iteration: int | None = None,
    *,
    env: Source | None = None,
    algorithm: Recipe | Learner | None = None,
    display: Callable[[int], Display] | None = None,
) -> Replayed:
    """Play an iteration of a run again and keep what its update did.

    Args:
        folder: the run's folder, which is only read; the run may still be going on.
        iteration: counts from 0, as in `metrics.jsonl`; the run's last one if it is not given.
        env: what the run was trained on, if that was no Gymnasium id.
        algorithm: the recipe or the learner, if the run was started with an object of one's own.
        display: makes what shows the progress, from the number of steps; nothing is shown without.

    Raises:
        UsageError: there is no such run or iteration, its method learns from no advantages, its
            update was refused, or it does not come out as it did.
    """
    runtime.before_computing()
    folder = _only(Path(folder))
    newest, _ = checkpoints.newest(folder / "checkpoints", folder / "metrics.jsonl")
    rows = _rows(folder, iteration)
    iteration = len(rows) - 1
    if rows[iteration]["refused"]:
        raise UsageError(
            f"the update of iteration {iteration} of {folder} was refused and changed nothing; "
            "accepted is an iteration that learned"
        )
    method = method_of(newest.config, folder, algorithm)
    discount = _discount(method.build(), newest.config["algorithm"], folder)
    source = environment_of(newest.config, folder, env)
    setup = Setup(**newest.config["setup"])

    def built() -> Run:
        return Run(newest.config["algorithm"], method, source, setup)

    with contextlib.ExitStack() as closing:
        run = built()
        closing.callback(run.close)
        before = rows[iteration - 1]["steps"] if iteration > 0 else 0
        budget = before + run.rows
        nearest = _nearest(folder, iteration)
        if nearest is not None and not _restored(run, nearest, folder, budget):
            # Environments of its own again: these have been reset, and seeded, once more.
            nearest = None
            run.close()
            run = built()
            closing.callback(run.close)
        began = 0 if nearest is None else nearest.iterations
        for number in newest.began_anew:
            if began < number <= iteration:
                raise UsageError(
                    f"iteration {iteration} of {folder} cannot be replayed: before iteration "
                    f"{number} the run was resumed with new episodes; accepted is an earlier one"
                )
        run.budget = budget
        _remember(run)
        exact = _played(run, rows, Silent() if display is None else display(budget), folder)
    memory = run.state.policy_state
    return Replayed(
        method=run.name,
        environment=run.env_name,
        iteration=iteration,
        old=memory.params,
        new=run.state.policy,
        batch=memory.batch,
        discount=discount,
        hyperparameters=method.hyperparameters(),
        row=rows[iteration],
        began=began,
        from_checkpoint=nearest is not None,
        exact=exact,
    )


def _only(folder: Path) -> Path:
    first, *more = run_folders(folder)
    if more:
        raise UsageError(f"{folder} holds several runs; accepted is one of them, {first} for one")
    return first


def _rows(folder: Path, iteration: int | None) -> list[dict[str, Any]]:
    """The rows of `metrics.jsonl` up to that iteration's, or all."""
    upto = None if iteration is None else max(iteration + 1, 1)
    path = folder / "metrics.jsonl"
    try:
        with path.open("rb") as file:
            # A run that is still going on may not have finished its last line.
            lines = [x for x in itertools.islice(file, upto) if x.endswith(b"\n")]
        rows = [json.loads(line) for line in lines]
        whole = all(row["iteration"] == i for i, row in enumerate(rows))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} cannot be read: {error!r}") from None
    if not whole:
        raise UsageError(f"{path} does not have every iteration once; it was changed")
    if iteration is not None and not 0 <= iteration < len(rows):
        last = f"to {len(rows) - 1}" if iteration >= 0 else "or more"
        raise UsageError(f"iteration is {iteration}; accepted is 0 {last}, which {folder} has")
    return rows


def _nearest(folder: Path, iteration: int) -> Checkpoint | None:
    """The newest checkpoint that lies before the iteration, if one is kept."""
    try:
        found, _ = checkpoints.newest(
            folder / "checkpoints", folder / "metrics.jsonl", upto=iteration
        )
    except UsageError:
        return None
    return found


def _discount(learner: Learner, name: str, folder: Path) -> float:
    """γ of a method that learns from advantages."""
    match learner:
        case Algorithm(discount=discount):
            return float(discount)
        case _:
            raise UsageError(
                f"{folder} was trained by {name!r}, which has no advantages and so no "
                "surrogate; accepted is a method that has, trpo or ppo_clip for instance"
            )


def _restored(run: Run, checkpoint: Checkpoint, folder: Path, budget: int) -> bool:
    """Whether the run stands exactly where the checkpoint says."""
    try:
        state = filled(checkpoint.state, learner=run.state)["learner"]
    except ValueError as error:
        raise UsageError(f"{folder} does not fit what is to replay it: {error}") from None
    moved = run.restore(
        state,
        checkpoint.place,
        iterations=checkpoint.iterations,
        steps=checkpoint.steps,
        budget=budget,
    )
    return moved is None


def _remember(run: Run) -> None:
    """Let the run's state hold what the policy's last update learned from."""
    assert isinstance(run.learner, Algorithm)
    size = observation_size(run.shape.observation_space)
    update = Remember(run.learner.policy_update, obs_size=size, rows=run.rows)
    memory = update.init(run.state.policy)._replace(inner=run.state.policy_state)
    run.learner = dataclasses.replace(run.learner, policy_update=update)
    run.state = run.state._replace(policy_state=memory)


def _played(run: Run, rows: list[dict[str, Any]], shown: Display, folder: Path) -> bool:
    """Play the run to the last of these rows: whether each came out bit for bit."""
    exact = True
    with contextlib.closing(run.iterations()) as iterations, contextlib.closing(shown):
        for told in iterations:
            written = rows[told.number]
            if not _same(told, written):
                exact = False
                _check_near(told, written, folder)
            shown.show(told)
    return exact


def _check_near(told: Iteration, written: dict[str, Any], folder: Path) -> None:
    for name in ("valid_rows", "kl_mean", "entropy"):
        now, then = told.metrics[name], float(written[name])
        if not math.isclose(now, then, rel_tol=TOLERANCE):
            raise UsageError(
                f"iteration {told.number} of {folder} does not come out as it did: {name} is "
                f"{now:.6g} and was {then:.6g}; accepted are runs that their seed alone decides, "
                "on the machine and versions of then"
            )


def _same(told: Iteration, written: dict[str, Any]) -> bool:
    def facts(row: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in row.items() if name not in _OF_THE_PROCESS}

    return facts(json.loads(json.dumps(as_row(told)))) == facts(written)

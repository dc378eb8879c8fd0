"""`reproduce`: one iteration of a run once more, from what its folder holds.

A run is a function of its configuration and seed. The iteration is reached from the nearest
checkpoint at or before it, or from the run's beginning where none of those kept is as old, or
where environments cannot be put back where they stood. Every iteration on the way is compared with
its row in `metrics.jsonl`: what comes out otherwise is not the run that is asked about, and is
refused. The folder is only read.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from surefoot.agents.playing.policy_spec import EnvLike
from surefoot.common import jax_setup
from surefoot.common.arrays import from_named_arrays
from surefoot.common.errors import UsageError
from surefoot.common.parameters import check_integer, check_path
from surefoot.core.data.normalization import Normalizer
from surefoot.core.data.types import Batch
from surefoot.core.networks import Policy
from surefoot.core.objectives import Clipped
from surefoot.core.updates import KeepLastBatch
from surefoot.envs.spaces.observations import observation_size
from surefoot.methods.learners.algorithm import Algorithm
from surefoot.methods.learners.learner import Learner
from surefoot.methods.recipes import Recipe
from surefoot.runs.display.progress import Display, WarningDisplay
from surefoot.runs.folder import checkpoints, compare_rows, config_file
from surefoot.runs.folder.checkpoints import Checkpoint
from surefoot.runs.rebuild import (
    match_cores,
    rebuild_environment,
    rebuild_method,
    rebuild_settings,
    run_folders,
    version_differences,
)
from surefoot.runs.run import Run


class ReproducedUpdate(NamedTuple):
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
    normalizer: Normalizer
    """What the batch was seen through when it was learned from: an iteration changes it at its
    end. `old` collected it through the same, but of the first iteration, when all observations were
    alike to it."""
    batch: Batch
    """What the policy's update learned from."""
    discount: float
    """γ."""
    clip: float | None
    """ε of the method's clipped objective; `None` where it has none."""
    hyperparameters: dict[str, Any]
    """The method's."""
    row: dict[str, Any]
    """The iteration in `metrics.jsonl`."""
    began: int
    """The iteration that the reproduction began with."""
    from_checkpoint: bool
    """Whether it began with a checkpoint, not with the run's beginning."""
    exact: bool
    """Whether every iteration that was reproduced equals its row in `metrics.jsonl` bit for bit."""
    differences: str
    """Versions, and the number of cores, that are not those of the run; empty if there are none."""

    def __str__(self) -> str:
        text = f"{self.method} on {self.environment}, iteration {self.iteration}"
        where = f"a checkpoint before iteration {self.began}"
        if not self.from_checkpoint:
            where = "the run's beginning: no checkpoint that it could go on from is as old"
        number = self.iteration + 1 - self.began
        many = f"{number} iteration{'s' if number > 1 else ''}"
        same = "equal to metrics.jsonl bit for bit"
        if not self.exact:
            near = f"up to {compare_rows.TOLERANCE:.0%} of KL, entropy and returns"
            same = f"equal to metrics.jsonl {near}, not bit for bit"
            if self.differences:
                same = f"{same}: {self.differences}"
        return f"{text}, replayed from {where} ({many}, {same})"


def reproduce(
    folder: str | Path,
    iteration: int | None = None,
    *,
    env: EnvLike | None = None,
    algorithm: Recipe | Learner | None = None,
    display: Callable[[int], Display] | None = None,
) -> ReproducedUpdate:
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
    jax_setup.configure_before_compute()
    folder = _only(check_path("folder", folder))
    if iteration is not None:
        iteration = check_integer("iteration", iteration, 0)
    config = _configuration(folder)
    rows = compare_rows.read(folder / "metrics.jsonl", iteration)
    iteration = len(rows) - 1
    if rows[iteration]["refused"]:
        raise UsageError(
            f"the update of iteration {iteration} of {folder} was refused and changed nothing; "
            "accepted is an iteration that learned"
        )
    match_cores(config, folder)
    method = rebuild_method(config, folder, algorithm)
    learner = _with_advantages(method.build(), config["algorithm"], folder)
    source = rebuild_environment(config, folder, env)
    # Without time between checkpoints, every state on the way is told, on the device too.
    settings = dataclasses.replace(rebuild_settings(config, folder), checkpoint_every=0.0)

    def built() -> Run:
        return Run(config["algorithm"], method, source, settings)

    with contextlib.ExitStack() as closing:
        run = built()
        closing.callback(run.close)
        before = rows[iteration - 1]["steps"] if iteration > 0 else 0
        budget = before + run.rows
        kept = folder / "checkpoints"
        nearest = checkpoints.nearest(kept, folder / "metrics.jsonl", upto=iteration)
        if nearest is not None and not _restored(run, nearest, folder, budget):
            # Environments of its own again: these have been reset, and seeded, once more.
            nearest = None
            run.close()
            run = built()
            closing.callback(run.close)
        began = 0 if nearest is None else nearest.iterations
        for number in checkpoints.env_restarts_at(kept):
            if began < number <= iteration:
                raise UsageError(
                    f"iteration {iteration} of {folder} cannot be replayed: before iteration "
                    f"{number} the run was resumed with new episodes; accepted is an earlier one"
                )
        for number in checkpoints.stretched_at(kept):
            # The checkpoint before it still has the schedule of before.
            if began <= number <= iteration:
                raise UsageError(
                    f"iteration {iteration} of {folder} cannot be replayed: before iteration "
                    f"{number} the run was resumed with its schedule stretched; accepted is an "
                    "earlier one"
                )
        run.budget = budget
        _remember(run)
        shown = WarningDisplay() if display is None else display(budget)
        differing = version_differences(config)
        normalizer, exact = _played(run, rows, shown, folder, differing)
    traced = run.state.policy_state
    return ReproducedUpdate(
        method=run.name,
        environment=run.env_name,
        iteration=iteration,
        old=traced.params,
        new=run.state.policy,
        normalizer=normalizer,
        batch=traced.batch,
        discount=float(learner.discount),
        clip=_clip(learner),
        hyperparameters=method.hyperparameters(),
        row=rows[iteration],
        began=began,
        from_checkpoint=nearest is not None,
        exact=exact,
        differences=differing,
    )


def _only(folder: Path) -> Path:
    first, *more = run_folders(folder)
    if more:
        raise UsageError(f"{folder} holds several runs; accepted is one of them, {first} for one")
    return first


def _configuration(folder: Path) -> dict[str, Any]:
    """`config.json`, which is there from a run's first iteration on."""
    config = config_file.read(folder)
    missing = {"algorithm", "hyperparameters", "setup", "versions"} - config.keys()
    if missing:
        path = folder / config_file.NAME
        raise UsageError(f"{path} lacks {', '.join(sorted(missing))}; it was changed")
    return config


def _with_advantages(learner: Learner, name: str, folder: Path) -> Algorithm:
    """The learner, if it learns from advantages."""
    match learner:
        case Algorithm():
            return learner
        case _:
            raise UsageError(
                f"{folder} was trained by {name!r}, which has no advantages and so no "
                "surrogate; accepted is a method that has, trpo or ppo_clip for instance"
            )


def _clip(learner: Algorithm) -> float | None:
    """ε of the clipped objective in the policy's update, wherever that holds it."""
    parts = jax.tree.leaves(learner.policy_update, is_leaf=lambda x: isinstance(x, Clipped))
    found = [float(part.clip) for part in parts if isinstance(part, Clipped)]
    return found[0] if found else None


def _restored(run: Run, checkpoint: Checkpoint, folder: Path, budget: int) -> bool:
    """Whether the run stands exactly where the checkpoint says."""
    try:
        state = from_named_arrays(checkpoint.state, learner=run.state)["learner"]
    except ValueError as error:
        raise UsageError(f"{folder} does not fit what is to replay it: {error}") from None
    number, steps = checkpoint.iterations, checkpoint.steps
    snapshot = checkpoint.env_snapshot
    return run.restore(state, snapshot, iterations=number, steps=steps, budget=budget) is None


def _remember(run: Run) -> None:
    """Let the run's state hold what the policy's last update learned from."""
    assert isinstance(run.learner, Algorithm)
    size = observation_size(run.spec.observation_space)
    update = KeepLastBatch(run.learner.policy_update, obs_size=size, rows=run.rows)
    traced = update.init(run.state.policy)._replace(inner=run.state.policy_state)
    run.learner = dataclasses.replace(run.learner, policy_update=update)
    run.state = run.state._replace(policy_state=traced)


def _played(
    run: Run, rows: list[dict[str, Any]], shown: Display, folder: Path, differing: str
) -> tuple[Normalizer, bool]:
    """Play the run to the last of these rows: (the normalizer in that iteration, whether each came
    out bit for bit)."""
    exact, number, last = True, -1, len(rows) - 1
    before = after = run.state.normalizer
    with contextlib.closing(run.iterations()) as iterations, contextlib.closing(shown):
        for told in iterations:
            number, before, after = told.number, after, told.state.normalizer
            before = before.readied(after)
            if not compare_rows.equal(told, rows[number]):
                exact = False
                found = compare_rows.difference(told, rows[number])
                if found is not None:
                    raise _other(found, number, folder, differing)
            shown.show(told)
            if number == last:
                return before, exact
    raise _other(f"the run ends with iteration {number}", last, folder, differing)


def _other(found: str, number: int, folder: Path, differing: str) -> UsageError:
    then = "the machine and versions of then" + (differing and f" ({differing})")
    return UsageError(
        f"iteration {number} of {folder} does not come out as it did: {found}; accepted are runs "
        f"that their seed alone decides, on {then}"
    )

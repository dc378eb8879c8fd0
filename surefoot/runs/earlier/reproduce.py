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
from typing import Any

import jax

from surefoot.agents.playing.policy_spec import EnvLike
from surefoot.common import jax_setup
from surefoot.common.arrays import from_named_arrays
from surefoot.common.errors import UsageError
from surefoot.common.parameters import check_integer, check_path
from surefoot.core.data.normalization import Normalizer
from surefoot.core.networks.architecture import MakeNetwork
from surefoot.core.objectives import Clipped
from surefoot.core.updates import KeepLastBatch, blank_batch
from surefoot.envs.spaces.encoding import Encoding
from surefoot.methods.families.base import Recipe
from surefoot.methods.learners.algorithm import Algorithm
from surefoot.methods.learners.cost_limits import CostLimited
from surefoot.methods.learners.learner import Learner
from surefoot.runs.display.progress import CallbackDisplay, Display
from surefoot.runs.earlier.rebuild import (
    match_cores,
    rebuild_environment,
    rebuild_method,
    rebuild_settings,
    run_folders,
    version_differences,
)
from surefoot.runs.earlier.reproduced_update import ReproducedUpdate
from surefoot.runs.folder import checkpoints, compare_rows, config_file
from surefoot.runs.folder.checkpoints import Checkpoint
from surefoot.runs.run import Makes, Run


def reproduce(
    folder: str | Path,
    iteration: int | None = None,
    *,
    env: EnvLike | None = None,
    algorithm: Recipe | Learner | None = None,
    network: MakeNetwork | None = None,
    critic_network: MakeNetwork | None = None,
    display: Callable[[int], Display] | None = None,
) -> ReproducedUpdate:
    """Play an iteration of a run again and keep what its update did.

    Args:
        folder: the run's folder, which is only read; the run may still be going on.
        iteration: counts from 0, as in `metrics.jsonl`; the run's last one if it is not given.
        env: what the run was trained on, if that was no Gymnasium id.
        algorithm: the recipe or the learner, if the run was started with an object of one's own.
        network: what made the policy's network, if that was one's own.
        critic_network: what made the critic's.
        display: makes what shows the progress, from the number of steps; nothing is shown without.

    Raises:
        UsageError: there is no such run or iteration, its method learns from no advantages, its
            update was refused, or it does not come out as it did.
    """
    jax_setup.configure_before_compute()
    folder = _only(check_path("folder", folder))
    config, rows = _configuration(folder), _rows(folder, iteration)
    match_cores(config, folder)
    method = rebuild_method(config, folder, algorithm)
    learner = _with_advantages(method.build(), config["algorithm"], folder)
    source, makes = rebuild_environment(config, folder, env), Makes(network, critic_network)
    # Without time between checkpoints, every state on the way is told, on the device too.
    settings = dataclasses.replace(rebuild_settings(config, folder), checkpoint_every=0.0)
    with contextlib.ExitStack() as closing:

        def built() -> Run:
            run = Run(config["algorithm"], method, source, settings, makes)
            closing.callback(run.close)
            return run

        run, began = _begun(built, folder, rows)
        shown = CallbackDisplay() if display is None else display(run.budget)
        normalizer, exact = _played(run, rows, shown, folder, version_differences(config))
    return ReproducedUpdate(
        method=run.name,
        environment=run.env_name,
        iteration=len(rows) - 1,
        old=run.state.policy_state.params,
        new=run.state.policy,
        normalizer=normalizer,
        batch=run.state.policy_state.batch,
        discount=float(learner.discount),
        clip=_clip(learner),
        hyperparameters=method.hyperparameters(),
        row=rows[-1],
        began=began,
        exact=exact,
        differences=version_differences(config),
    )


def _begun(built: Callable[[], Run], folder: Path, rows: list[dict[str, Any]]) -> tuple[Run, int]:
    """A run that stands before the last of these rows, and remembers what an update learns from:
    (the run, the iteration that it begins with)."""
    run, iteration = built(), len(rows) - 1
    before = rows[iteration - 1]["steps"] if iteration > 0 else 0
    budget = before + run.rows
    kept = folder / "checkpoints"
    nearest = checkpoints.nearest(kept, folder / "metrics.jsonl", upto=iteration)
    if nearest is not None and not _restored(run, nearest, folder, budget):
        # Environments of its own again: these have been reset, and seeded, once more.
        nearest = None
        run.close()
        run = built()
    began = 0 if nearest is None else nearest.iterations
    _check_reachable(folder, began, iteration)
    run.budget = budget
    _remember(run)
    return run, began


def _check_reachable(folder: Path, began: int, iteration: int) -> None:
    """Raise `UsageError` where what lies between the two cannot be made again."""
    kept = folder / "checkpoints"
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


def _only(folder: Path) -> Path:
    first, *more = run_folders(folder)
    if more:
        raise UsageError(f"{folder} holds several runs; accepted is one of them, {first} for one")
    return first


def _rows(folder: Path, iteration: int | None) -> list[dict[str, Any]]:
    """The run's rows up to this iteration, or all of them; the last one has learned."""
    if iteration is not None:
        iteration = check_integer("iteration", iteration, 0)
    rows = compare_rows.read(folder / "metrics.jsonl", iteration)
    if rows[-1]["refused"]:
        raise UsageError(
            f"the update of iteration {len(rows) - 1} of {folder} was refused and changed nothing; "
            "accepted is an iteration that learned"
        )
    return rows


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
        case Algorithm(batches=1):
            return learner
        case Algorithm() | CostLimited():
            why = "whose surrogate is not that of one batch alone"
        case _:
            why = "which has no advantages and so no surrogate"
    raise UsageError(
        f"{folder} was trained by {name!r}, {why}; accepted is a method that has one, trpo or "
        "ppo_clip for instance"
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
    obs = Encoding(run.spec.observation_space).blank(run.batch_shape)
    blank = blank_batch(run.state.policy, obs)
    update = KeepLastBatch(run.learner.policy_update, blank)
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

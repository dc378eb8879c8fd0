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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from surefoot import runtime
from surefoot.agent import Source
from surefoot.algorithm import Algorithm
from surefoot.config import Setup
from surefoot.described import compute_as, differences, environment_of, method_of, run_folders
from surefoot.envs.observations import observation_size
from surefoot.errors import UsageError
from surefoot.learner import Learner
from surefoot.named import filled
from surefoot.normalize import Normalizer
from surefoot.objectives import Clipped
from surefoot.recipes import Recipe
from surefoot.replayed import Replayed
from surefoot.run import Run
from surefoot.runs import checkpoints, comparing, configuration
from surefoot.runs.checkpoints import Checkpoint
from surefoot.runs.progress import Display, Silent
from surefoot.wrappers import Remember


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
    config = _configuration(folder)
    rows = comparing.read(folder / "metrics.jsonl", iteration)
    iteration = len(rows) - 1
    if rows[iteration]["refused"]:
        raise UsageError(
            f"the update of iteration {iteration} of {folder} was refused and changed nothing; "
            "accepted is an iteration that learned"
        )
    compute_as(config, folder)
    method = method_of(config, folder, algorithm)
    learner = _with_advantages(method.build(), config["algorithm"], folder)
    source = environment_of(config, folder, env)
    # Without time between checkpoints, every state on the way is told, on the device too.
    setup = dataclasses.replace(Setup(**config["setup"]), checkpoint_every=0.0)

    def built() -> Run:
        return Run(config["algorithm"], method, source, setup)

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
        for number in checkpoints.began_anew(kept):
            if began < number <= iteration:
                raise UsageError(
                    f"iteration {iteration} of {folder} cannot be replayed: before iteration "
                    f"{number} the run was resumed with new episodes; accepted is an earlier one"
                )
        run.budget = budget
        _remember(run)
        shown = Silent() if display is None else display(budget)
        differing = differences(config)
        normalizer, exact = _played(run, rows, shown, folder, differing)
    memory = run.state.policy_state
    return Replayed(
        method=run.name,
        environment=run.env_name,
        iteration=iteration,
        old=memory.params,
        new=run.state.policy,
        normalizer=normalizer,
        batch=memory.batch,
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
    config = configuration.read(folder)
    missing = {"algorithm", "hyperparameters", "setup", "versions"} - config.keys()
    if missing:
        path = folder / configuration.NAME
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
        state = filled(checkpoint.state, learner=run.state)["learner"]
    except ValueError as error:
        raise UsageError(f"{folder} does not fit what is to replay it: {error}") from None
    number, steps = checkpoint.iterations, checkpoint.steps
    place = checkpoint.place
    return run.restore(state, place, iterations=number, steps=steps, budget=budget) is None


def _remember(run: Run) -> None:
    """Let the run's state hold what the policy's last update learned from."""
    assert isinstance(run.learner, Algorithm)
    size = observation_size(run.shape.observation_space)
    update = Remember(run.learner.policy_update, obs_size=size, rows=run.rows)
    memory = update.init(run.state.policy)._replace(inner=run.state.policy_state)
    run.learner = dataclasses.replace(run.learner, policy_update=update)
    run.state = run.state._replace(policy_state=memory)


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
            if not comparing.equal(told, rows[number]):
                exact = False
                found = comparing.difference(told, rows[number])
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

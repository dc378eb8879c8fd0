"""`resume`: go on with a run where its newest intact checkpoint was written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from surefoot.agents.agent import Agent
from surefoot.agents.playing.policy_spec import EnvLike
from surefoot.common.errors import UsageError
from surefoot.common.parameters import check_integer, check_path
from surefoot.core.networks.architecture import MakeNetwork
from surefoot.methods.families.base import Recipe
from surefoot.methods.learners.learner import Learner
from surefoot.runs.display.progress import Display, FailSafeDisplay, choose_display
from surefoot.runs.earlier.rebuild import (
    run_folders,
)
from surefoot.runs.earlier.restored import Restored, restored
from surefoot.runs.execute import OnIteration, check_callables, execute
from surefoot.runs.recorder import Result
from surefoot.runs.run import Makes


def resume(
    folder: str | Path,
    *,
    steps: int | None = None,
    env: EnvLike | None = None,
    algorithm: Recipe | Learner | None = None,
    network: MakeNetwork | None = None,
    critic_network: MakeNetwork | None = None,
    stretch_schedule: bool = False,
    progress: bool | None = None,
    display: Callable[[int], Display] | None = None,
    on_iteration: OnIteration | None = None,
) -> Agent:
    """Go on with a run, to its end or to `steps` environment steps, and return the agent.

    Parameters, optimizers, normalizers, random keys and environments are those of the newest intact
    checkpoint, and later rows of `metrics.jsonl` are taken off: on the same machine and versions
    the run is bit for bit the one that was not interrupted. Environments that cannot be put back
    where they were (EnvPool's, a vector environment that was handed in, or one with randomness of
    its own) begin new episodes, which is said. A longer run keeps the schedules of the shorter one,
    at their end, which is said, unless they are to be stretched. A run that is complete only gets
    its agent written again.

    Args:
        folder: the run's folder.
        steps: the run's new number of environment steps, larger than the old.
        env: what the run was trained on, if that was no Gymnasium id.
        algorithm: the recipe or the learner, if the run was started with an object of one's own.
        network: what made the policy's network, if that was one's own.
        critic_network: what made the critic's.
        stretch_schedule: whether schedules are spread over all of the run's steps from here on,
            and not only over those that it was planned with: a rate that falls to 0 does so at
            the new end.
        progress: as in `train`.
        display: as in `train`.
        on_iteration: as in `train`; a run that it ended is gone on with in the same way.

    Raises:
        UsageError: there is nothing to go on with.
    """
    folder = check_path("folder", folder)
    if len(run_folders(folder)) > 1:
        raise UsageError(f"{folder} holds several runs: pass it to resume_seeds")
    agents = resume_seeds(
        folder,
        steps=steps,
        env=env,
        algorithm=algorithm,
        network=network,
        critic_network=critic_network,
        stretch_schedule=stretch_schedule,
        progress=progress,
        display=display,
        on_iteration=on_iteration,
    )
    return agents[0]


def resume_seeds(
    folder: str | Path,
    *,
    steps: int | None = None,
    env: EnvLike | None = None,
    algorithm: Recipe | Learner | None = None,
    network: MakeNetwork | None = None,
    critic_network: MakeNetwork | None = None,
    stretch_schedule: bool = False,
    progress: bool | None = None,
    display: Callable[[int], Display] | None = None,
    on_iteration: OnIteration | None = None,
) -> list[Agent]:
    """`resume` for a folder that `train_seeds` wrote: all of its runs at once, from the newest
    checkpoint that all of them have."""
    make = choose_display(progress, display)
    folder = check_path("folder", folder)
    check_callables(display, on_iteration)
    steps = None if steps is None else check_integer("steps", steps, 1)
    with restored(
        folder,
        steps=steps,
        env=env,
        algorithm=algorithm,
        makes=Makes(network, critic_network),
        stretch_schedule=stretch_schedule,
    ) as runs:
        shown = make(sum(one.total for one in runs))
        return [result.agent for result in continue_runs(runs, shown, on_iteration=on_iteration)]


def continue_runs(
    runs: Sequence[Restored],
    display: Display,
    *,
    stopping: Callable[[], bool] = lambda: False,
    on_iteration: OnIteration | None = None,
) -> list[Result]:
    """Train runs that were restored, to their end or until `stopping` or the callback says so."""
    display = FailSafeDisplay(display)
    for one in runs:
        for warning in one.warnings:
            display.note(f"{one.folder}: {warning}")
    return execute(
        [one.run for one in runs],
        [one.folder for one in runs],
        display,
        resumed=[one.checkpoint for one in runs],
        stopping=stopping,
        on_iteration=on_iteration,
    )

"""`train`: from a method and an environment to an agent, with the run's folder on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from surefoot.agents.agent import Agent
from surefoot.agents.playing.policy_spec import EnvLike
from surefoot.common import jax_setup
from surefoot.common.errors import UsageError, in_short
from surefoot.common.files import array_folder
from surefoot.common.parameters import check_integer, check_path
from surefoot.core.networks.architecture import MakeNetwork
from surefoot.methods.families.base import Recipe
from surefoot.methods.learners.learner import Learner
from surefoot.runs.display.progress import Display, choose_display
from surefoot.runs.execute import OnIteration, check_callables, execute
from surefoot.runs.folder.find_runs import is_run, runs_inside
from surefoot.runs.folder.history_columns import history_of
from surefoot.runs.new_folder import check_new, seed_folders
from surefoot.runs.options import Options, prepare


def train(
    algorithm: str | Recipe | Learner,
    env: EnvLike,
    *,
    out: str | Path | None = None,
    progress: bool | None = None,
    display: Callable[[int], Display] | None = None,
    on_iteration: OnIteration | None = None,
    **options: Any,
) -> Agent:
    """Train a policy and return the agent.

    Args:
        algorithm: a recipe's name ("trpo", "ppo_clip", …), a recipe object, or a `Learner` composed
            by hand, an `Algorithm` for instance (then `num_envs` and `horizon` are options).
        env: a Gymnasium id, a callable that makes an environment, a Gymnasium vector environment,
            or a `DeviceEnv`.
        out: a new folder for the run: `config.json`, `metrics.jsonl`, and the agent in `agent/`.
        progress: whether a bar on standard error shows how far the run is and how long it will
            take; by default where that is a terminal, and in a notebook. Where it is neither,
            `True` prints a line now and then. Without, what happens becomes a Python warning.
        display: makes what shows the progress instead, from the number of steps.
        on_iteration: is called after every iteration with its row, as in `metrics.jsonl`, and the
            agent of that moment; where it returns False, the run ends after that iteration, with a
            checkpoint if it has a folder.
        **options: the fields of `RunSettings` (steps, seed, backend, …) and of the recipe (max_kl,
            …).

    Raises:
        UsageError: a name or value is not accepted; nothing has been written then.
    """
    shown = choose_display(progress, display)
    folder = None if out is None else check_new(check_path("out", out))
    check_callables(display, on_iteration)
    run = prepare(algorithm, env, options)
    return execute([run], [folder], shown(run.steps), on_iteration=on_iteration)[0].agent


def train_seeds(
    algorithm: str | Recipe | Learner,
    env: EnvLike,
    seeds: Sequence[int],
    *,
    out: str | Path | None = None,
    progress: bool | None = None,
    display: Callable[[int], Display] | None = None,
    on_iteration: OnIteration | None = None,
    **options: Any,
) -> list[Agent]:
    """Train one policy for every seed, all at once in one compiled program on the device, and
    return the agents. Arguments and errors are `train`'s, but `seed`; `out` is a new folder, in
    which each run has one of its own, `seed-0` for instance. `on_iteration` is called for every
    seed, which the agent's provenance names; where it returns False, all of them end after that
    iteration."""
    make = choose_display(progress, display)
    folder = None if out is None else check_new(check_path("out", out))
    check_callables(display, on_iteration)
    seeds = check_seeds(seeds)
    if "seed" in options:
        raise UsageError("seed and seeds; accepted is one of them")
    runs = Options.split(algorithm, options).runs(env, seeds)
    shown = make(sum(run.steps for run in runs))
    results = execute(runs, seed_folders(folder, seeds), shown, on_iteration=on_iteration)
    return [result.agent for result in results]


def check_seeds(seeds: Any) -> list[int]:
    """The seeds as Python's integers. Raises `UsageError` where they are none, or the same."""
    try:
        given = [] if isinstance(seeds, str) else list(seeds)
    except TypeError:
        given = []
    plain = [check_integer("one of the seeds", seed, 0, 2**32 - 1) for seed in given]
    if not plain or len(set(plain)) < len(plain):
        raise UsageError(f"seeds is {in_short(seeds)}; accepted are one or more that differ")
    return plain


def load(path: str | Path, *, network: MakeNetwork | None = None) -> Agent:
    """The agent in a folder that `Agent.save` wrote, or in a run's folder. `network` makes the
    policy's, if that is one of the user's own, of which no file holds more than a name."""
    jax_setup.configure_before_compute()
    path = check_path("path", path)
    try:
        inner = path / "agent" if (path / "agent").is_dir() else path
    except OSError as error:
        raise UsageError(f"{path} is no saved agent: {error.strerror}") from None
    if inner == path and not array_folder.is_one(path) and (inside := runs_inside(path)):
        raise UsageError(f"{path} is no run and no saved agent: pass one of its runs{inside}")
    agent = Agent.load(inner, network=network)
    # That of the run, or the best of its evaluations.
    folder = inner.parent
    if is_run(folder):
        agent.attach_run(folder, history_of(folder))
    return agent

"""`train`: from a method and an environment to an agent, with the run's folder on the way."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from surefoot.agent import Agent, Source
from surefoot.config import Setup
from surefoot.errors import UsageError, closest
from surefoot.learner import Learner
from surefoot.recipes import RECIPES, Recipe, find_recipe
from surefoot.run import Run, composed
from surefoot.runs.metrics import JsonLines
from surefoot.runs.progress import Display, Silent


def prepare(
    algorithm: str | Recipe | Learner,
    env: Source,
    options: dict[str, Any],
    *,
    name: str | None = None,
) -> Run:
    """Check everything and build the run. `options` holds the fields of `Setup` and of the recipe
    side by side; one that is neither is a `UsageError` with the closest match. `name` is what the
    method is called in the run's records."""
    setup_fields = {field.name for field in dataclasses.fields(Setup)}
    setup = Setup(**{k: v for k, v in options.items() if k in setup_fields})
    rest = {k: v for k, v in options.items() if k not in setup_fields}
    if isinstance(algorithm, str):
        name, algorithm = algorithm, find_recipe(algorithm)()
    recipe = composed(algorithm) if isinstance(algorithm, Learner) else algorithm
    known: dict[type, str] = {kind: key for key, kind in RECIPES.items()}
    name = name or known.get(type(recipe), type(recipe).__name__.lower())
    accepted = {field.name for field in dataclasses.fields(recipe)} - {"learner"}
    for option in rest:
        if option not in accepted:
            every = sorted(accepted | setup_fields)
            raise UsageError(
                f"unknown option {option!r} for {name}; accepted are "
                f"{', '.join(every)}.{closest(option, every)}"
            )
    return Run(name, dataclasses.replace(recipe, **rest), env, setup)


def train(
    algorithm: str | Recipe | Learner,
    env: Source,
    *,
    out: str | Path | None = None,
    display: Callable[[int], Display] | None = None,
    **options: Any,
) -> Agent:
    """Train a policy and return the agent.

    Args:
        algorithm: a recipe's name ("trpo", "ppo_clip", …), a recipe object, or a `Learner` composed
            by hand, an `Algorithm` for instance (then `num_envs` and `horizon` are options).
        env: a Gymnasium id, a callable that makes an environment, a Gymnasium vector environment,
            or a `DeviceEnv`.
        out: a new folder for the run: `config.json`, `metrics.jsonl`, and the agent in `agent/`.
        display: makes what shows the progress, from the number of steps; nothing is shown without.
        **options: the fields of `Setup` (steps, seed, backend, …) and of the recipe (max_kl, …).

    Raises:
        UsageError: a name or value is not accepted; nothing has been written then.
    """
    folder = None if out is None else check_new(Path(out))
    run = prepare(algorithm, env, options)
    return execute(run, folder, Silent() if display is None else display(run.steps)).agent


def check_new(folder: Path) -> Path:
    """The path, if nothing is there yet and a folder can be made there."""
    try:
        if folder.exists():
            raise UsageError(f"{folder} exists; accepted is a new path for the run's folder")
        above = next(parent for parent in folder.absolute().parents if parent.exists())
    except OSError as error:
        raise UsageError(f"{folder} can be no folder: {error.strerror}") from None
    if not above.is_dir():
        raise UsageError(f"{folder} lies below {above}, which is a file; accepted is a new path")
    if not os.access(above, os.W_OK):
        raise UsageError(f"{folder} cannot be made: {above} is not writable; pass another path")
    return folder


def default_run_folder(algorithm: str, env: str, seed: int) -> Path:
    """runs/ALGORITHM-ENV-SEED-TIME, with characters that a folder name cannot hold replaced."""
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in env)
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{algorithm}-{safe}-{seed}-{stamp}"


def _start_folder(folder: Path, run: Run) -> JsonLines:
    text = json.dumps({**run.config(), "command": sys.argv}, indent=2)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")
    return JsonLines(folder / "metrics.jsonl")


class Result(NamedTuple):
    """What a finished run leaves."""

    agent: Agent
    returns: list[float]
    """Raw returns of all training episodes, in the order in which they ended."""


def execute(run: Run, folder: Path | None, display: Display) -> Result:
    """Run the loop to its end; write the run's folder if one is given, from the first iteration on:
    what fails before leaves nothing behind."""
    sink = None
    returns: list[float] = []
    try:
        for iteration in run.iterations():
            if folder is not None:
                sink = sink or _start_folder(folder, run)
                sink.write(iteration)
            display.show(iteration)
            returns.extend(iteration.episode_returns.tolist())
    finally:
        display.close()
        if sink is not None:
            sink.close()
    agent = run.agent()
    if folder is not None:
        agent.save(folder / "agent")
    return Result(agent, returns)


def load(path: str | Path) -> Agent:
    """The agent in a folder that `Agent.save` wrote, or in a run's folder."""
    path = Path(path)
    try:
        inner = path / "agent" if (path / "agent").is_dir() else path
    except OSError as error:
        raise UsageError(f"{path} is no saved agent: {error.strerror}") from None
    return Agent.load(inner)

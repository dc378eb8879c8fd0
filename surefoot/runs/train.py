"""`train`: from a method and an environment to an agent, with the run's folder on the way."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from surefoot.agents.agent import Agent
from surefoot.agents.playing.policy_spec import EnvLike
from surefoot.common import jax_setup
from surefoot.common.errors import UsageError, in_short
from surefoot.common.files import array_folder
from surefoot.common.foreign_names import option_hint
from surefoot.common.parameters import check_callable, check_integer, check_path
from surefoot.common.settings import RunSettings
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.methods.learners.learner import Learner
from surefoot.methods.recipes import RECIPES, Recipe, find_recipe
from surefoot.runs import loggers
from surefoot.runs.checkpoint_schedule import CheckpointSchedule
from surefoot.runs.display.progress import Display, FailSafeDisplay, choose_display
from surefoot.runs.evaluator import Evaluator
from surefoot.runs.folder.checkpoints import Checkpoint
from surefoot.runs.folder.find_runs import is_run, runs_inside
from surefoot.runs.folder.history_columns import history_of
from surefoot.runs.recorder import Result, RunRecorder
from surefoot.runs.run import Run, composed
from surefoot.runs.score import Scoring
from surefoot.training.iteration import Iteration, merged

#: Characters of an environment's name that are in the name of its run's folder.
_LONGEST_NAME = 48
#: Called after an iteration with its row and the agent of that moment; False ends the run.
OnIteration = Callable[[dict[str, Any], Agent], object]


def prepare(
    algorithm: str | Recipe | Learner,
    env: EnvLike,
    options: dict[str, Any],
    *,
    name: str | None = None,
) -> Run:
    """Check everything and build the run. `options` holds the fields of `RunSettings` and of the
    recipe side by side; one that is neither is a `UsageError` with the closest match. `name` is the
    method's name in the run's records."""
    jax_setup.configure_before_compute()
    check_algorithm(algorithm)
    setting_fields = {field.name for field in dataclasses.fields(RunSettings)}
    settings = RunSettings(**{k: v for k, v in options.items() if k in setting_fields})
    loggers.check(settings.log)
    rest = {k: v for k, v in options.items() if k not in setting_fields}
    if isinstance(algorithm, str):
        name, algorithm = algorithm, find_recipe(algorithm)()
    recipe = composed(algorithm) if isinstance(algorithm, Learner) else algorithm
    known: dict[type, str] = {kind: key for key, kind in RECIPES.items()}
    own = type(recipe).__name__.lower()
    # A recipe of the user's own may have the name of one of the library's.
    name = name or known.get(type(recipe), f"own {own}" if own in RECIPES else own)
    accepted = {field.name for field in dataclasses.fields(recipe)} - {"learner"}
    for option in rest:
        if option not in accepted:
            every = sorted(accepted | setting_fields)
            raise UsageError(
                f"unknown option {option!r} for {name}; accepted are "
                f"{', '.join(every)}.{option_hint(option, [*every, 'out', 'on_iteration'])}"
            )
    return Run(name, dataclasses.replace(recipe, **rest), env, settings)


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
    runs = prepare_seeds(algorithm, env, seeds, options)
    shown = make(sum(run.steps for run in runs))
    results = execute(runs, seed_folders(folder, seeds), shown, on_iteration=on_iteration)
    return [result.agent for result in results]


def prepare_seeds(
    algorithm: str | Recipe | Learner,
    env: EnvLike,
    seeds: Sequence[int],
    options: dict[str, Any],
    *,
    name: str | None = None,
) -> list[Run]:
    """`prepare` for every seed."""
    if "seed" in options:
        raise UsageError("seed and seeds; accepted is one of them")
    backend = "device" if isinstance(env, DeviceEnv) else options.get("backend", "host")
    if len(seeds) > 1 and backend != "device":
        raise UsageError(
            f"{len(seeds)} seeds at once on the backend {backend!r}; accepted is 'device': pass "
            "another backend, or train one seed after the other"
        )
    jax_setup.allow_parallel_runs(len(seeds))
    return [prepare(algorithm, env, {**options, "seed": seed}, name=name) for seed in seeds]


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


def check_algorithm(algorithm: Any) -> None:
    """Raise `UsageError` for what is no method."""
    if isinstance(algorithm, str | Recipe | Learner):
        return
    made = isinstance(algorithm, type) and issubclass(algorithm, Recipe)
    fix = f": pass {algorithm.__name__}()" if made else ""
    raise UsageError(
        f"algorithm is {in_short(algorithm)}; accepted are a recipe's name, one of "
        f"'surefoot list algorithms', a recipe object, or a Learner{fix}"
    )


def check_callables(display: Any, on_iteration: Any) -> None:
    """Raise `UsageError` where what is to be called cannot be."""
    if display is not None:
        check_callable("display", display, "of the number of steps")
    if on_iteration is not None:
        check_callable("on_iteration", on_iteration, "of a row and an agent")


def seed_folders(folder: Path | None, seeds: Sequence[int]) -> list[Path | None]:
    """Where the runs of these seeds go."""
    return [folder and folder / f"seed-{seed}" for seed in seeds]


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
    # A file system takes 255 bytes, of which a character may be four.
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in env[:_LONGEST_NAME])
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = Path("runs") / f"{algorithm}-{safe}-{seed}-{stamp}"
    # Two runs may be started in the same second.
    return folder.with_name(f"{folder.name}-{os.getpid()}") if folder.exists() else folder


def execute(
    runs: Sequence[Run],
    folders: Sequence[Path | None],
    display: Display,
    *,
    resumed: Sequence[Checkpoint | None] | None = None,
    stopping: Callable[[], bool] = lambda: False,
    on_iteration: OnIteration | None = None,
    command: Sequence[str] | None = None,
) -> list[Result]:
    """Run the loop to its end, or until `stopping` or the callback says so, of one run or of
    several side by side, and write each one's folder if there is one. Those that are `resumed` have
    been restored. `command` are the words of surefoot's own command line, if that is what began the
    run: another program's may hold what is nobody's business."""
    resumed = resumed or [None] * len(runs)
    settings = runs[0].settings
    called = on_iteration is not None
    pace = CheckpointSchedule(
        settings.checkpoint_every, stopping, always=called and folders[0] is not None
    )
    shown = FailSafeDisplay(display)
    with contextlib.ExitStack() as closing:
        for run in runs:
            closing.callback(run.close)
        closing.callback(shown.close)
        _check_outputs(settings, folders, on_iteration)
        evaluator = None
        if settings.evaluate_every:
            done = 0 if resumed[0] is None else resumed[0].steps
            evaluator = Evaluator(runs, shown.note, done=done)
            closing.callback(evaluator.close)
        for run in runs:
            run.set_sync_every(1 if called else 0 if evaluator is None else evaluator.sync_every)
        records = []
        for run, folder, checkpoint in zip(runs, folders, resumed, strict=True):
            records.append(
                RunRecorder(run, folder, shown.note, command=command, resumed=checkpoint)
            )
            closing.callback(records[-1].close)
        if any(resumed):
            shown.resumed(Scoring.together([record.scoring for record in records]))
        if len(runs) == 1:
            alone = closing.enter_context(contextlib.closing(runs[0].iterations(pace)))
            turns: Iterator[list[Iteration]] = ([told] for told in alone)
        else:
            turns = closing.enter_context(contextlib.closing(Run.side_by_side(runs, pace)))
        for told in turns:
            save = pace.saving or runs[0].complete(told[0].steps)
            if evaluator is not None:
                told = evaluator(told)
            both = list(zip(records, told, strict=True))
            rows = [record.add(iteration, save=save) for record, iteration in both]
            shown.show(merged(told))
            if on_iteration is not None and not _all_go_on(on_iteration, rows, runs):
                for record, iteration in both if not save else ():
                    record.save(iteration)
                break
        return [record.finish() for record in records]


def _check_outputs(
    settings: RunSettings, folders: Sequence[Path | None], on_iteration: OnIteration | None
) -> None:
    """Raise `UsageError` where what is to come of a run can come of none."""
    check_callables(None, on_iteration)
    for option in ("log", "evaluate_every"):
        value = getattr(settings, option)
        if value and folders[0] is None:
            raise UsageError(f"{option} is {value!r} and the run has no folder: pass out=")


def _all_go_on(
    on_iteration: OnIteration, rows: Sequence[dict[str, Any]], runs: Sequence[Run]
) -> bool:
    """Whether the callback lets all runs go on: everything but a false boolean does."""
    answers = [on_iteration(row, run.agent()) for row, run in zip(rows, runs, strict=True)]
    return not any(isinstance(answer, bool | np.bool_) and not answer for answer in answers)


def load(path: str | Path) -> Agent:
    """The agent in a folder that `Agent.save` wrote, or in a run's folder."""
    jax_setup.configure_before_compute()
    path = check_path("path", path)
    try:
        inner = path / "agent" if (path / "agent").is_dir() else path
    except OSError as error:
        raise UsageError(f"{path} is no saved agent: {error.strerror}") from None
    if inner == path and not array_folder.is_one(path) and (inside := runs_inside(path)):
        raise UsageError(f"{path} is no run and no saved agent: pass one of its runs{inside}")
    agent = Agent.load(inner)
    # That of the run, or the best of its evaluations.
    folder = inner.parent
    if is_run(folder):
        agent.attach_run(folder, history_of(folder))
    return agent

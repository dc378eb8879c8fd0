"""The command line: `surefoot train | resume | evaluate | record | inspect | list | check-env |
doctor`.

A user's mistake is one line on standard error and exit code 2; a defect keeps its traceback. JAX is
imported only by the commands that compute, so that help is immediate.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import tyro

from surefoot import __version__
from surefoot.arguments import parse
from surefoot.config import Setup, at_least, validate
from surefoot.errors import TrainingError, UsageError, closest
from surefoot.recipes import RECIPES, find_recipe
from surefoot.recipes.base import Offline

_USAGE = f"""surefoot {__version__}: policy optimization that knows how far it steps

usage:
  surefoot train ALGORITHM ENV [options]   train a policy ('surefoot train ALGORITHM --help')
  surefoot resume RUN [--steps N]          go on with a run that was interrupted, or further
  surefoot evaluate RUN [options]          play episodes with a run's agent
  surefoot record RUN [options]            keep a run's agent's episodes in a file to imitate
  surefoot inspect RUN --iteration K       what one update did, along the line on which it lies
  surefoot list algorithms|envs            what there is
  surefoot check-env ID|MODULE:FACTORY     look for defects of an environment
  surefoot doctor                          versions, devices, and whether they compute correctly

algorithms: {", ".join(RECIPES)}"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Play:
    """Play whole episodes with a trained agent."""

    run: tyro.conf.Positional[Path]
    """A run's folder, or a saved agent's."""
    episodes: int = at_least(1, 20)
    """Episodes to play."""
    seed: int = at_least(0, 1, high=2**31 - 1)
    """Seed of the environments."""
    env: str | None = None
    """Gymnasium id to play on, if not the one the agent was trained on."""
    stochastic: bool = False
    """Sample actions instead of taking the most probable one."""

    def __post_init__(self) -> None:
        validate(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate(Play):
    """Play whole episodes with a trained agent and print their returns."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record(Play):
    """Play whole episodes with a trained agent and keep every transition, in one file."""

    out: Path | None = None
    """The file to write, if not RUN/demonstrations.safetensors."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inspect:
    """Replay one iteration of a run, and show the surrogate, its clipped and penalized forms, the
    KL and the theory's lower bound along the line on which its update lies."""

    run: tyro.conf.Positional[Path]
    """The run's folder, which is only read."""
    iteration: int | None = None
    """The iteration whose update is looked at, if not the last one; counts from 0, as in
    metrics.jsonl."""
    out: Path | None = None
    """A file for the figure (.png, .pdf, .svg) or for the curves (.csv)."""
    clip: float | None = None
    """The clipped surrogate's ε, if not the method's own, or 0.2."""
    beta: float | None = None
    """The penalty's β, if not the method's own in that iteration, or 1."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class List:
    """Show what there is."""

    what: tyro.conf.Positional[Literal["algorithms", "envs"]]
    """algorithms: the recipes and the parts they combine; envs: what can be trained on."""


def _train(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: surefoot train ALGORITHM ENV [options]\n\nalgorithms: {', '.join(RECIPES)}")
        print("\n'surefoot train ALGORITHM --help' lists the options of that algorithm.")
        return 0
    name = arguments[0]
    if name.startswith("-"):
        raise UsageError(
            f"the algorithm comes first and not {name}: surefoot train ALGORITHM ENV [options]; "
            f"accepted are {', '.join(RECIPES)}"
        )
    kind = find_recipe(name)
    doc = (kind.__doc__ or "").strip()
    command = dataclasses.make_dataclass(
        "Train",
        [
            ("env", tyro.conf.Positional[str]),
            ("out", Path | None, None),
            ("seeds", int, at_least(1, 1)),
            ("run", Setup, dataclasses.field(default=Setup())),
            ("hyperparameters", kind, dataclasses.field(default=kind())),
        ],
        frozen=True,
        kw_only=True,
        namespace={
            "__doc__": f"{doc}\n\nENV is a Gymnasium id such as HalfCheetah-v5. --seeds N trains N "
            "seeds from --seed on at once, on the device.",
            "__post_init__": validate,
        },
    )
    options: Any = parse(command, arguments[1:], prog=f"surefoot train {name}", positionals=["env"])
    return _run_training(name, options)


def _run_training(name: str, options: Any) -> int:
    from rich.console import Console

    from surefoot.runs.progress import make_display
    from surefoot.runs.signals import Signals
    from surefoot.training import (
        check_new,
        default_run_folder,
        execute,
        prepare_seeds,
        seed_folders,
    )

    folder = check_new(options.out or default_run_folder(name, options.env, options.run.seed))
    setup = {f.name: getattr(options.run, f.name) for f in dataclasses.fields(options.run)}
    first = setup.pop("seed")
    seeds = range(first, first + options.seeds)
    runs = prepare_seeds(options.hyperparameters, options.env, seeds, setup, name=name)
    run, several = runs[0], len(runs) > 1
    console = Console()
    rounded = ""
    if run.steps != options.run.steps:
        rounded = f" ({options.run.steps:,} rounded down to whole batches of {run.rows:,})"
    which = f"seeds {seeds[0]} to {seeds[-1]} at once" if several else f"seed {seeds[0]}"
    _say(console, f"{name} on {run.env_name}: {run.steps:,} steps{rounded}, {which}")
    folders = seed_folders(folder, seeds) if several else [folder]
    shown = make_display(console, sum(run.steps for run in runs))
    with Signals() as signals:
        results = execute(runs, folders, shown, stopping=signals.asked)
    _conclude(console, run, results)
    what = f"{len(runs)} runs" if several else "run"
    if signals.received is not None and results[0].steps + run.rows <= run.budget:
        return _interrupted(console, folder, results, signals)
    _say(console, f"{what}: {folder}   (surefoot evaluate {folders[0]})")
    return 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resume:
    """Go on with a run where its newest intact checkpoint was written."""

    run: tyro.conf.Positional[Path]
    """The run's folder, or the one that train --seeds wrote."""
    steps: int | None = None
    """Environment steps of the whole run, if it is to be longer than it was."""


def _resume(arguments: Sequence[str]) -> int:
    options = parse(Resume, arguments, prog="surefoot resume", positionals=["run"])
    from rich.console import Console

    from surefoot.resuming import go_on, restore
    from surefoot.runs.progress import make_display
    from surefoot.runs.signals import Signals

    restored = restore(options.run, steps=options.steps)
    console = Console()
    for one in restored:
        _say(console, str(one))
    shown = make_display(console, sum(one.total for one in restored))
    with Signals() as signals:
        results = go_on(restored, shown, stopping=signals.asked)
    _conclude(console, restored[0].run, results)
    run = restored[0].run
    if signals.received is not None and results[0].steps + run.rows <= run.budget:
        return _interrupted(console, options.run, results, signals)
    _say(console, f"run: {options.run}   (surefoot evaluate {restored[0].folder})")
    return 0


def _conclude(console: Any, run: Any, results: Sequence[Any]) -> None:
    """Say what came of a run, or of several."""
    from surefoot.runs.progress import WINDOW

    several = len(results) > 1
    recent = [result.returns[-WINDOW:] for result in results]
    if all(recent):
        means = [sum(part) / len(part) for part in recent]
        each = f", from {min(means):.1f} to {max(means):.1f} over the seeds" if several else ""
        text = f"mean return of the last {len(recent[0])} episodes"
        _say(console, f"{text}: {sum(means) / len(means):.1f}{each}")
    elif isinstance(run.recipe, Offline):
        _say(console, f"learned from {run.rows:,} recorded transitions")
    else:
        _say(console, "no episode finished: raise --steps or --horizon")
    refused = sum(result.refused for result in results)
    if refused:
        _say(console, f"{refused} updates were refused: something was not finite")


def _interrupted(console: Any, folder: Path, results: Sequence[Any], signals: Any) -> int:
    _say(
        console,
        f"interrupted after {results[0].steps:,} steps: 'surefoot resume {folder}' goes on",
    )
    return int(signals.exit_code)


def _say(console: Any, text: str) -> None:
    # What nobody can read any more is no reason to fail.
    with contextlib.suppress(OSError):
        console.print(text, soft_wrap=True, highlight=False, markup=False)


def _evaluate(arguments: Sequence[str]) -> int:
    options = parse(Evaluate, arguments, prog="surefoot evaluate", positionals=["run"])
    from surefoot.training import load

    agent = load(options.run)
    result = agent.evaluate(
        options.episodes, options.seed, env=options.env, deterministic=not options.stochastic
    )
    print(
        f"{len(result.returns)} episodes: return {result.mean:.1f} ± {result.std:.1f} "
        f"(standard deviation over episodes), {result.returns.min():.1f} to "
        f"{result.returns.max():.1f}; length {result.lengths.mean():.1f}"
    )
    return 0


def _record(arguments: Sequence[str]) -> int:
    options = parse(Record, arguments, prog="surefoot record", positionals=["run"])
    from surefoot import demonstrations
    from surefoot.training import load

    agent = load(options.run)
    out = demonstrations.check_new_file(options.out or options.run / "demonstrations.safetensors")
    recorded = agent.record(
        options.episodes, options.seed, env=options.env, deterministic=not options.stochastic
    )
    demonstrations.save(recorded, out)
    print(
        f"{options.episodes} episodes, {len(recorded):,} transitions, "
        f"mean return {recorded.returns.mean():.1f}: {out}"
    )
    return 0


def _inspect(arguments: Sequence[str]) -> int:
    options = parse(Inspect, arguments, prog="surefoot inspect", positionals=["run"])
    from rich.console import Console

    from surefoot.inspecting import check_file, inspect
    from surefoot.runs.progress import make_display

    if options.out is not None:
        check_file(options.out)
    console = Console()
    inspection = inspect(
        options.run,
        options.iteration,
        clip=options.clip,
        beta=options.beta,
        display=lambda steps: make_display(console, steps),
    )
    _say(console, str(inspection))
    if options.out is not None:
        inspection.save(options.out)
        _say(console, f"written: {options.out}")
    return 0


def _list(arguments: Sequence[str]) -> int:
    options = parse(List, arguments, prog="surefoot list", positionals=["what"])
    if options.what == "algorithms":
        from rich.console import Console
        from rich.table import Column, Table

        name, *rest = ("algorithm", "objective", "geometry", "step size", "wrapper", "source")
        table = Table(Column(name, no_wrap=True), *(Column(part, overflow="fold") for part in rest))
        for algorithm, kind in RECIPES.items():
            table.add_row(algorithm, *kind.parts)
        # Cells wrap on a narrow terminal; a pipe gets whole lines.
        console = Console()
        (console if console.is_terminal else Console(width=200)).print(table)
    else:
        from surefoot.envs.classic import DEVICE_ENVS
        from surefoot.envs.make import list_env_ids

        for env_id in list_env_ids():
            print(f"{env_id}{'   (also --backend device)' if env_id in DEVICE_ENVS else ''}")
    return 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckEnv:
    """Play an environment for a few hundred steps, and say what is wrong with it, a line for each
    defect, and how to mend it."""

    env: tyro.conf.Positional[str]
    """A Gymnasium id, or MODULE:FACTORY, a class or function that makes the environment, of a
    module that can be imported from this folder."""


def _check_env(arguments: Sequence[str]) -> int:
    options = parse(CheckEnv, arguments, prog="surefoot check-env", positionals=["env"])
    from surefoot.envs.check import STEPS, check_env
    from surefoot.envs.factory import find_factory

    defects = check_env(find_factory(options.env))
    for defect in defects:
        print(f"{options.env}: {defect.message}")
    if not defects:
        print(f"{options.env}: no defect found in {STEPS} steps")
    return 1 if defects else 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Doctor:
    """Show versions and devices, and check that this build of JAX computes correctly."""


def _doctor(arguments: Sequence[str]) -> int:
    parse(Doctor, arguments, prog="surefoot doctor", positionals=[])
    from surefoot import doctor

    return doctor.main()


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "train": _train,
    "resume": _resume,
    "evaluate": _evaluate,
    "record": _record,
    "inspect": _inspect,
    "list": _list,
    "check-env": _check_env,
    "doctor": _doctor,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE)
        return 0
    if arguments[0] == "--version":
        print(f"surefoot {__version__}")
        return 0
    command = arguments[0]
    try:
        if command not in _COMMANDS:
            accepted = ", ".join(_COMMANDS)
            near = closest(command, _COMMANDS)
            raise UsageError(f"unknown command {command!r}; accepted are {accepted}.{near}")
        return _COMMANDS[command](arguments[1:])
    except UsageError as error:
        print(f"surefoot: {error}", file=sys.stderr)
        return 2
    except TrainingError as error:
        print(f"surefoot: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("surefoot: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

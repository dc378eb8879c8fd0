"""`surefoot train`: a policy from a method and an environment."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from surefoot.cli.arguments import parse
from surefoot.cli.commands.messages import (
    env_option,
    make_console,
    print_interrupted,
    print_line,
    print_results,
    word,
)
from surefoot.cli.commands.report import report_at_end
from surefoot.common.errors import UsageError
from surefoot.common.fields import at_least, validate
from surefoot.common.settings import RunSettings
from surefoot.methods.families.base import Recipe
from surefoot.methods.presets import PRESETS, preset_options, presets_of
from surefoot.methods.registry import RECIPES, find_recipe


def main(arguments: Sequence[str]) -> int:
    """Train, and return the exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: surefoot train ALGORITHM ENV [options]\n\nalgorithms: {', '.join(RECIPES)}")
        for preset, (purpose, _, _, methods) in PRESETS.items():
            print(f"\n--preset {preset}: {purpose}, by {', '.join(methods)}")
        print("\n'surefoot train ALGORITHM --help' lists the options of that algorithm.")
        return 0
    name = arguments[0]
    if name.startswith("-"):
        raise UsageError(
            f"the algorithm comes first and not {name}: surefoot train ALGORITHM ENV [options]; "
            f"accepted are {', '.join(RECIPES)}"
        )
    if name not in RECIPES and arguments[1:2] and arguments[1] in RECIPES:
        raise UsageError(
            f"the algorithm comes first and not {name}: surefoot train {arguments[1]} {name}"
        )
    kind = find_recipe(name)
    settings, recipe = _defaults(name, kind, _last("--preset", arguments))
    command = dataclasses.make_dataclass(
        "Train",
        [
            (
                "env",
                _option(
                    tyro.conf.Positional[str],
                    "Gymnasium id, HalfCheetah-v5 for instance, or MODULE:NAME as for check-env.",
                ),
            ),
            ("out", _option(Path | None, "The run's folder, if not a new one below runs/."), None),
            (
                "seeds",
                _option(int, "Seeds to train at once, from --seed on (device)."),
                at_least(1, 1),
            ),
            ("live", _option(bool, "Show the dashboard of 'surefoot watch' meanwhile."), False),
            ("report", _option(bool, "Write report.html at the end."), True),
            ("run", RunSettings, dataclasses.field(default=settings)),
            ("hyperparameters", kind, dataclasses.field(default=recipe)),
        ],
        frozen=True,
        kw_only=True,
        namespace={
            "__doc__": _described(name, kind),
            "__post_init__": validate,
        },
    )
    options: Any = parse(command, arguments[1:], prog=f"surefoot train {name}", positionals=["env"])
    return _run_training(name, options, ["surefoot", "train", *arguments])


def _last(option: str, words: Sequence[str]) -> str:
    """The value of an option that takes one, as it is given last; empty where it is not given."""
    value = ""
    for given, following in itertools.pairwise([*words, "--"]):
        if given == option and not following.startswith("--"):
            value = following
        elif given.startswith(f"{option}="):
            value = given.partition("=")[2]
    return value


def _defaults(name: str, kind: type[Recipe], preset: str) -> tuple[RunSettings, Recipe]:
    """What options are where they are not given."""
    options = preset_options(preset, name)
    of_run = {field.name for field in dataclasses.fields(RunSettings)}
    return (
        RunSettings(**{k: v for k, v in options.items() if k in of_run}),
        kind(**{k: v for k, v in options.items() if k not in of_run}),
    )


def _described(name: str, kind: type[Recipe]) -> str:
    """What stands above the options in the help."""
    instance = f"For instance: surefoot train {name} CartPole-v1 --steps 100000"
    told = [f"--preset {key}: {preset.purpose}" for key, preset in presets_of(name).items()]
    return "\n\n".join([(kind.__doc__ or "").strip(), instance, *told])


def _option(kind: Any, explained: str) -> Any:
    """The type of an option, with its line in the help."""
    metavar = "ENV" if kind == tyro.conf.Positional[str] else None
    return Annotated[kind, tyro.conf.arg(help=explained, metavar=metavar)]


def _run_training(name: str, options: Any, command: Sequence[str]) -> int:
    from surefoot.common import jax_setup
    from surefoot.envs.lookup import find_env
    from surefoot.runs.display.progress import Display, make_display
    from surefoot.runs.execute import execute
    from surefoot.runs.new_folder import check_new, default_run_folder, seed_folders
    from surefoot.runs.options import Options
    from surefoot.runs.signals import Signals

    folder = check_new(options.out or default_run_folder(name, options.env, options.run.seed))
    seeds = range(options.run.seed, options.run.seed + options.seeds)
    # A module may compute when it is imported.
    jax_setup.configure_before_compute()
    jax_setup.allow_parallel_runs(len(seeds))
    env = find_env(options.env)
    runs = Options(name, options.hyperparameters, options.run).runs(env, seeds)
    run, several = runs[0], len(runs) > 1
    console = make_console()
    rounded = ""
    if run.steps != options.run.steps:
        rounded = f" ({options.run.steps:,} rounded down to whole batches of {run.rows:,})"
    which = f"seeds {seeds[0]} to {seeds[-1]} at once" if several else f"seed {seeds[0]}"
    print_line(console, f"{name} on {run.env_name}: {run.steps:,} steps{rounded}, {which}")
    folders = seed_folders(folder, seeds) if several else [folder]
    total = sum(run.steps for run in runs)
    if options.live and console.is_terminal:
        from surefoot.runs.display.dashboard import LiveDashboard

        shown: Display = LiveDashboard(console, run.config(), total, seeds=seeds)
    else:
        shown = make_display(console, total)
    with Signals(folders) as signals:
        results = execute(runs, folders, shown, stopping=signals.asked, command=command)
    print_results(console, run, results)
    what = f"{len(runs)} runs" if several else "run"
    if signals.received is not None and results[0].steps + run.rows <= run.budget:
        return print_interrupted(console, folder, options.env, results, signals)
    one = word(folders[0] or folder)
    print_line(console, f"{what}: {folder}   (surefoot evaluate {one}{env_option(options.env)})")
    if options.report:
        report_at_end(console, folder)
    return 0

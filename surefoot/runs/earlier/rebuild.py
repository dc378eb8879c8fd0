"""What a run's folder describes, built again, to resume the run or to reproduce it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, TypeVar

from surefoot.agents.playing.policy_spec import EnvLike
from surefoot.common import jax_setup
from surefoot.common.errors import UsageError, in_short
from surefoot.common.parameters import check_path
from surefoot.common.settings import RunSettings
from surefoot.common.version import __version__
from surefoot.envs.lookup import find_env
from surefoot.envs.registered import MakeCall
from surefoot.methods.families.base import Recipe
from surefoot.methods.learners.learner import Learner
from surefoot.methods.registry import RECIPES, find_recipe
from surefoot.runs.folder import config_file
from surefoot.runs.folder.find_runs import runs_inside
from surefoot.runs.own_learner import composed
from surefoot.runs.run import versions

T = TypeVar("T")


def run_folders(folder: Path) -> list[Path]:
    """The run's folder, or those of the seeds that were trained at once."""
    folder = check_path("the run", folder)
    if (folder / config_file.NAME).is_file():
        return [folder]
    seeds = _seed_folders(folder)
    if not seeds:
        raise UsageError(
            f"{folder} is no run: it has no config.json; accepted is a folder that "
            f"'surefoot train' wrote{runs_inside(folder)}"
        )
    return seeds


def named_environment(folder: Path, name: str) -> EnvLike:
    """What `MODULE:NAME` is, for a run that was trained on it. A module may compute when it is
    imported, and computes as the run did."""
    jax_setup.configure_before_compute()
    first = run_folders(folder)[0]
    match_cores(config_file.read_identified(first), first)
    return find_env(name)


def rebuild_method(
    config: dict[str, Any], path: Path, algorithm: Recipe | Learner | None
) -> Recipe:
    """The recipe that a run's configuration describes, which is `algorithm` if that is given.
    Raises `UsageError` where it has to be given, or is another one than the run's."""
    numbers = config["hyperparameters"]
    recipe: Recipe
    if algorithm is None:
        if config["algorithm"] not in RECIPES:
            raise UsageError(
                f"{path} was trained by {config['algorithm']!r}, which is no recipe of surefoot's: "
                "pass algorithm="
            )
        recipe = _rebuilt(find_recipe(config["algorithm"]), numbers, config, path)
    elif isinstance(algorithm, Learner):
        rest = {k: v for k, v in numbers.items() if k != "learner"}
        recipe = dataclasses.replace(composed(algorithm), **rest)
    elif not isinstance(algorithm, Recipe):
        raise UsageError(
            f"algorithm is {in_short(algorithm)}; accepted are the recipe object or the Learner "
            f"that {path} was started with"
        )
    else:
        recipe = algorithm
    theirs = json.loads(json.dumps(recipe.hyperparameters()))
    numbers = {**_before(type(recipe)), **numbers}
    differing = [k for k in theirs.keys() | numbers.keys() if theirs.get(k) != numbers.get(k)]
    if differing:
        raise UsageError(
            f"algorithm= differs from the run's in {', '.join(sorted(differing))}: pass the same"
        )
    return recipe


def rebuild_settings(config: dict[str, Any], path: Path) -> RunSettings:
    """The settings that a run's configuration describes. Raises `UsageError` where this version
    knows one of them not, or not its value."""
    return _rebuilt(RunSettings, config["setup"], config, path)


def _rebuilt(kind: type[T], values: dict[str, Any], config: dict[str, Any], path: Path) -> T:
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(values.keys() - known)
    if unknown:
        written = config["versions"].get("surefoot", "another")
        raise UsageError(
            f"{path} has {', '.join(map(repr, unknown))}, which surefoot {__version__} does not "
            f"know; it was written by surefoot {written}: pip install 'surefoot>={written}'"
        )
    before = {name: value for name, value in config_file.BEFORE.items() if name in known}
    return kind(**{**before, **values})


def _before(kind: type) -> dict[str, Any]:
    """What was done before there was an option, by the name of those that have a default."""
    fields = dataclasses.fields(kind)
    defaults = {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}
    known: dict[str, Any] = json.loads(json.dumps(config_file.with_before(defaults)))
    return known


def rebuild_environment(config: dict[str, Any], path: Path, env: EnvLike | None) -> EnvLike:
    """What a run was trained on, which is `env` if that is given. Raises `UsageError` where it has
    to be given."""
    call = MakeCall.from_json(config.get("environment_call")) or MakeCall.of(
        config["environment_id"]
    )
    given = MakeCall.of(env)
    if call is not None and given is not None and given != call:
        raise UsageError(f"{path} was trained on {call} and not on {given}: pass the same, or none")
    source: EnvLike | None = call.source if env is None and call is not None else env
    if source is None:
        raise UsageError(
            f"{path} was trained on {config['environment']}, which is no Gymnasium id: pass "
            "--env MODULE:NAME, or env= in Python"
        )
    return source


def match_cores(config: dict[str, Any], path: Path) -> None:
    """Compute on as many cores as the run did, if JAX has not computed yet: with another number,
    large products are summed in another order. Where its configuration does not say, it was one for
    each of the seeds that were trained at once."""
    written = config["versions"].get("NPROC")
    if written is None:
        path = path.absolute()
        jax_setup.allow_parallel_runs(len(_seed_folders(path.parent)) if _of_seed(path) else 1)
    else:
        jax_setup.use_cores(written)


def version_differences(config: dict[str, Any]) -> str:
    """Versions that are not those of a run's configuration, nor is the number of cores; empty if
    there are none."""
    written, here = config["versions"], versions()
    return ", ".join(
        f"{name} {written.get(name, 'none')} then, {here.get(name, 'none')} now"
        for name in sorted(written.keys() | here.keys())
        if written.get(name) != here.get(name)
    )


def _seed_folders(folder: Path) -> list[Path]:
    """The runs of the seeds that were trained at once, by seed."""
    seeds = [
        path
        for path in folder.glob("seed-*")
        if _of_seed(path) and (path / config_file.NAME).is_file()
    ]
    return sorted(seeds, key=lambda path: int(path.name.removeprefix("seed-")))


def _of_seed(path: Path) -> bool:
    return path.name.startswith("seed-") and path.name.removeprefix("seed-").isdecimal()

"""The command that made a run, and the one that makes it again."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator
from pathlib import PureWindowsPath
from typing import Any

from surefoot.common.settings import RunSettings
from surefoot.methods.registry import RECIPES

#: The program's file names; the last is that of `python -m surefoot.cli` in older runs.
_PROGRAMS = ("surefoot", "surefoot.exe", "cli.py")
#: The end of its path if it was started by `python -m surefoot.cli`.
_MODULE = ("surefoot", "cli", "__main__.py")


def made_by(config: dict[str, Any]) -> list[str]:
    """The words of the command that made a run; none where its configuration has none. Where the
    program lay on that machine is of no use to anybody."""
    given = config.get("command")
    if not isinstance(given, list) or not given or not all(isinstance(x, str) for x in given):
        return []
    program = PureWindowsPath(given[0])
    own = program.name in _PROGRAMS or program.parts[-3:] == _MODULE
    return ["surefoot" if own else program.name, *given[1:]]


def command(config: dict[str, Any], *, steps: int | None = None) -> str | None:
    """The command line that makes the run again in a new folder, or nothing where its environment
    or its method is no name. `steps` is the number of environment steps of a run that was made
    longer. A preset may say something else by then: in its place stand the options that it gave."""
    given = made_by(config)
    if given[:2] == ["surefoot", "train"] and not config["setup"].get("preset"):
        words = _without("--out", given)
        if steps is not None:
            words = [*_without("--steps", words), "--steps", str(steps)]
        return shlex.join(words)
    kind, environment = RECIPES.get(config["algorithm"]), config.get("environment_id")
    if kind is None or not isinstance(environment, str):
        return None
    longer = {} if steps is None else {"steps": steps}
    options = [
        *_changed({**config["setup"], "preset": "", **longer}, RunSettings()),
        *_changed(config["hyperparameters"], kind()),
    ]
    return shlex.join(["surefoot", "train", config["algorithm"], environment, *options])


def _without(option: str, words: list[str]) -> list[str]:
    """The words without an option's and its value's."""
    kept = []
    places = iter(words)
    for word in places:
        if word == option:
            next(places, None)
        elif not word.startswith(f"{option}="):
            kept.append(word)
    return kept


def _changed(values: dict[str, Any], defaults: Any) -> Iterator[str]:
    """Options for what differs from the defaults; seed and steps always."""
    for field in dataclasses.fields(defaults):
        default = getattr(defaults, field.name)
        default = list(default) if isinstance(default, tuple) else default
        value = values.get(field.name, default)
        if value == default and field.name not in ("steps", "seed"):
            continue
        option = field.name.replace("_", "-")
        if isinstance(value, bool):
            yield f"--{option}" if value else f"--no-{option}"
        elif isinstance(value, list):
            yield from (f"--{option}", *map(str, value))
        else:
            yield from (f"--{option}", str(value))

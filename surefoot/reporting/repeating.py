"""The command that repeats a run."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from surefoot.config import Setup
from surefoot.recipes import RECIPES


def command(config: dict[str, Any]) -> str | None:
    """The command line that makes the run again in a new folder, or nothing where its environment
    or its method is no name."""
    given = config.get("command")
    if isinstance(given, list) and all(isinstance(word, str) for word in given):
        program = PurePath(given[0]).name if given else ""
        if program in ("surefoot", "surefoot.exe", "cli.py") and given[1:2] == ["train"]:
            return shlex.join(["surefoot", *_without_out(given[1:])])
    kind, environment = RECIPES.get(config["algorithm"]), config.get("environment_id")
    if kind is None or not isinstance(environment, str):
        return None
    options = [
        *_changed(config["setup"], Setup()),
        *_changed(config["hyperparameters"], kind()),
    ]
    return shlex.join(["surefoot", "train", config["algorithm"], environment, *options])


def _without_out(words: list[str]) -> list[str]:
    """The folder exists by now."""
    kept = []
    places = iter(words)
    for word in places:
        if word == "--out":
            next(places, None)
        elif not word.startswith("--out="):
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

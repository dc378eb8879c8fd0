"""`surefoot check-env`: the defects of an environment."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tyro

from surefoot.cli.arguments import parse
from surefoot.cli.commands.messages import say


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckEnv:
    """Play an environment for a few hundred steps, and say what is wrong with it, a line for each
    defect, and how to fix it."""

    env: tyro.conf.Positional[str]
    """A Gymnasium id, or MODULE:NAME: of a module that can be imported from this folder, a class or
    function that makes the environment, or an id that it registers."""


def main(arguments: Sequence[str]) -> int:
    """Check an environment, and return the exit code."""
    options = parse(CheckEnv, arguments, prog="surefoot check-env", positionals=["env"])
    from surefoot.envs.checking.check_env import STEPS, check_env
    from surefoot.envs.lookup import find_factory

    defects = check_env(find_factory(options.env))
    for defect in defects:
        say(f"{options.env}: {defect.message}")
    if not defects:
        say(f"{options.env}: no defect found in {STEPS} steps")
    return 1 if defects else 0

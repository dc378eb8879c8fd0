"""`surefoot list`: what there is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import tyro

from surefoot.cli.arguments import parse
from surefoot.cli.commands.messages import say
from surefoot.methods.registry import RECIPES


@dataclasses.dataclass(frozen=True, kw_only=True)
class List:
    """Show what there is."""

    what: tyro.conf.Positional[Literal["algorithms", "envs", "everything"]]
    """algorithms: the recipes and the parts they combine; envs: what can be trained on; everything,
    as where nothing is named: both."""


def main(arguments: Sequence[str]) -> int:
    """Print a list, and return the exit code."""
    named = arguments or ["everything"]
    options = parse(List, named, prog="surefoot list", positionals=["what"])
    if options.what != "envs":
        from rich.console import Console
        from rich.table import Column, Table

        name, *rest = ("algorithm", "objective", "geometry", "step size", "wrapper", "source")
        table = Table(Column(name, no_wrap=True), *(Column(part, overflow="fold") for part in rest))
        for algorithm, kind in RECIPES.items():
            table.add_row(algorithm, *kind.parts)
        # Cells wrap on a narrow terminal; a pipe gets whole lines.
        console = Console()
        (console if console.is_terminal else Console(width=200)).print(table)
    if options.what == "everything":
        print()
    if options.what != "algorithms":
        from surefoot.envs.device.classic import DEVICE_ENVS
        from surefoot.envs.env_ids import list_env_ids

        for env_id in list_env_ids():
            say(f"{env_id}{'   (also --backend device)' if env_id in DEVICE_ENVS else ''}")
    return 0

"""`surefoot inspect`: what one update of a run did."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tyro

from surefoot.cli.arguments import parse
from surefoot.cli.commands.messages import make_console, print_line


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
    """The clipped surrogate's ε, if not that of the method's clipped objective, or 0.2 for a method
    without one."""
    beta: float | None = None
    """The penalty's β, if not the method's own in that iteration, or 1."""
    env: str | None = None
    """MODULE:NAME of what the run was trained on, if that was no Gymnasium id."""


def main(arguments: Sequence[str]) -> int:
    """Inspect an update, and return the exit code."""
    options = parse(Inspect, arguments, prog="surefoot inspect", positionals=["run"])
    from surefoot.runs.display.progress import make_display
    from surefoot.runs.earlier.rebuild import named_environment
    from surefoot.theory.inspection import check_file, inspect

    if options.out is not None:
        check_file(options.out)
    console = make_console()
    inspection = inspect(
        options.run,
        options.iteration,
        clip=options.clip,
        beta=options.beta,
        env=options.env and named_environment(options.run, options.env),
        display=lambda steps: make_display(console, steps),
    )
    for line in str(inspection).split("\n"):
        print_line(console, line)
    if options.out is not None:
        inspection.save(options.out)
        print_line(console, f"written: {options.out}")
    return 0

"""`surefoot resume`: a run that was interrupted, or is to be longer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

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
from surefoot.cli.commands.report import report_at_end, wanted


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resume:
    """Go on with a run where its newest intact checkpoint was written."""

    run: tyro.conf.Positional[Path]
    """The run's folder, or the one that train --seeds wrote."""
    steps: int | None = None
    """Environment steps of the whole run, if it is to be longer than it was."""
    stretch_schedule: bool = False
    """Spread the method's schedule over all of the run's steps, and not only over those that it was
    planned with."""
    env: str | None = None
    """MODULE:NAME of what the run was trained on, if that was no Gymnasium id."""
    report: bool = True
    """Write report.html when the run is complete, unless it was trained with --no-report and has
    none."""


def main(arguments: Sequence[str]) -> int:
    """Go on with a run, and return the exit code."""
    options = parse(Resume, arguments, prog="surefoot resume", positionals=["run"])
    from surefoot.runs.display.progress import make_display
    from surefoot.runs.earlier.rebuild import named_environment
    from surefoot.runs.earlier.restored import restored
    from surefoot.runs.earlier.resume import continue_runs
    from surefoot.runs.signals import Signals

    env = options.env and named_environment(options.run, options.env)
    stretch = options.stretch_schedule
    with restored(options.run, steps=options.steps, env=env, stretch_schedule=stretch) as runs:
        console = make_console()
        for one in runs:
            print_line(console, str(one))
        shown = make_display(console, sum(one.total for one in runs))
        with Signals([one.folder for one in runs]) as signals:
            results = continue_runs(runs, shown, stopping=signals.asked)
    run, folder = runs[0].run, runs[0].folder
    print_results(console, run, results)
    if signals.received is not None and results[0].steps + run.rows <= run.budget:
        return print_interrupted(console, options.run, options.env, results, signals)
    print_line(
        console, f"run: {options.run}   (surefoot evaluate {word(folder)}{env_option(options.env)})"
    )
    if options.report and wanted(options.run, folder):
        report_at_end(console, options.run)
    return 0

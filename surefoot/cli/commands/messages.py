"""What commands say on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from surefoot.methods.recipes.base import Offline


def make_console() -> Any:
    """What lines are printed on."""
    from rich.console import Console

    return Console()


def print_results(console: Any, run: Any, results: Sequence[Any]) -> None:
    """Say what came of a run, or of several."""
    from surefoot.runs.display.summary import WINDOW

    several = len(results) > 1
    recent = [result.returns[-WINDOW:] for result in results]
    if all(recent):
        means = [sum(part) / len(part) for part in recent]
        each = f", from {min(means):.1f} to {max(means):.1f} over the seeds" if several else ""
        text = f"mean return of the last {len(recent[0])} episodes"
        print_line(console, f"{text}: {sum(means) / len(means):.1f}{each}")
    elif isinstance(run.recipe, Offline):
        print_line(console, f"learned from {run.rows:,} recorded transitions")
    else:
        print_line(console, "no episode finished: raise --steps or --horizon")
    skipped = sum(result.skipped for result in results)
    if skipped:
        print_line(console, f"{skipped} updates were refused: something was not finite")


def env_option(env: str | None) -> str:
    """What a command about a run has to be told once more: an environment that is no id."""
    return f" --env {env}" if env is not None and ":" in env else ""


def print_interrupted(
    console: Any, folder: Path, env: str | None, results: Sequence[Any], signals: Any
) -> int:
    """Say how to go on, and return the exit code."""
    print_line(
        console,
        f"interrupted after {results[0].steps:,} steps: "
        f"'surefoot resume {folder}{env_option(env)}' goes on",
    )
    return int(signals.exit_code)


def print_line(console: Any, text: str) -> None:
    """Print a line as it is."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)

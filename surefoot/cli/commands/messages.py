"""What commands say on the terminal."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from surefoot.methods.recipes.base import Offline


def terminal() -> Any:
    """A console that tells of a pipe that nobody reads as of any write that fails. One of rich's
    own would end the process there, in the middle of a run."""
    from rich.console import Console

    class Terminal(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    return Terminal()


def conclude(console: Any, run: Any, results: Sequence[Any]) -> None:
    """Say what came of a run, or of several."""
    from surefoot.runs.display.summary import WINDOW

    several = len(results) > 1
    recent = [result.returns[-WINDOW:] for result in results]
    if all(recent):
        means = [sum(part) / len(part) for part in recent]
        each = f", from {min(means):.1f} to {max(means):.1f} over the seeds" if several else ""
        text = f"mean return of the last {len(recent[0])} episodes"
        say(console, f"{text}: {sum(means) / len(means):.1f}{each}")
    elif isinstance(run.recipe, Offline):
        say(console, f"learned from {run.rows:,} recorded transitions")
    else:
        say(console, "no episode finished: raise --steps or --horizon")
    refused = sum(result.refused for result in results)
    if refused:
        say(console, f"{refused} updates were refused: something was not finite")


def again(env: str | None) -> str:
    """What a command about a run has to be told once more: an environment that is no id."""
    return f" --env {env}" if env is not None and ":" in env else ""


def interrupted(
    console: Any, folder: Path, env: str | None, results: Sequence[Any], signals: Any
) -> int:
    """Say how to go on, and return the exit code."""
    say(
        console,
        f"interrupted after {results[0].steps:,} steps: "
        f"'surefoot resume {folder}{again(env)}' goes on",
    )
    return int(signals.exit_code)


def say(console: Any, text: str) -> None:
    """Print a line as it is."""
    # What nobody can read any more is no reason to fail.
    with contextlib.suppress(OSError):
        console.print(text, soft_wrap=True, highlight=False, markup=False)

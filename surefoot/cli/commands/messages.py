"""What commands say on the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from surefoot.cli.typed_command import runnable
from surefoot.common.printable import one_line, printable
from surefoot.methods.families.base import Offline


def make_console() -> Any:
    """A console that prints text as it is, without what a terminal would obey."""
    from rich.console import Console

    class Terminal(Console):
        def render_str(self, text: str, **options: Any) -> Any:
            # Names are no markup, and `:dog:` is no picture.
            options |= {"markup": False, "emoji": False}
            return super().render_str(printable(text), **options)

    return Terminal()


def print_results(console: Any, run: Any, results: Sequence[Any]) -> None:
    """Say what came of a run, or of several."""
    several = len(results) > 1
    scores = [result.score for result in results]
    if all(score.ended for score in scores):
        means = [score.value for score in scores]
        each = f", from {min(means):.1f} to {max(means):.1f} over the seeds" if several else ""
        of = f"mean of the scores of {len(scores)} seeds" if several else scores[0].words
        print_line(console, f"return {sum(means) / len(means):.1f}{each} ({of})")
    elif isinstance(run.recipe, Offline):
        print_line(console, f"learned from {run.rows:,} recorded transitions")
    else:
        print_line(console, "no episode finished: raise --steps or --horizon")
    skipped = sum(result.skipped for result in results)
    if skipped:
        print_line(console, f"{skipped} updates were refused: something was not finite")


def env_option(env: str | None) -> str:
    """What a command about a run has to be told once more: an environment that is no id."""
    return f" --env {word(env)}" if env is not None and ":" in env else ""


def print_interrupted(
    console: Any, folder: Path, env: str | None, results: Sequence[Any], signals: Any
) -> int:
    """Say how to go on, and return the exit code."""
    print_line(
        console,
        f"interrupted after {results[0].steps:,} steps: "
        f"'surefoot resume {word(folder)}{env_option(env)}' goes on",
    )
    return int(signals.exit_code)


def word(path: str | Path) -> str:
    """A path or a name as one word of a command, which is no option whatever it begins with."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def print_line(console: Any, text: str) -> None:
    """Print a line as it is, its commands as they can be typed here."""
    console.print(one_line(runnable(text)), soft_wrap=True, highlight=False, markup=False)


def say(text: str) -> None:
    """Print a line as it is: what was asked for is this line."""
    print(one_line(text), flush=True)

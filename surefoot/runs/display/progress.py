"""Live progress: one refreshed panel on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from surefoot.runs.display.summary import WINDOW
from surefoot.training.iteration import Iteration


class Display(Protocol):
    """Shows iterations as they come."""

    def resumed(self, returns: Sequence[float]) -> None:
        """Go on with a run whose last episodes had these returns."""

    def show(self, iteration: Iteration) -> None:
        """Show one more iteration."""

    def note(self, text: str) -> None:
        """Say something that happened."""

    def close(self) -> None:
        """Show the last state and leave the terminal as it was."""


class WarningDisplay:
    """Shows nothing; notes become Python warnings."""

    def resumed(self, returns: Sequence[float]) -> None:
        """Nothing."""

    def show(self, iteration: Iteration) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """A Python warning: nobody would see it otherwise."""
        warnings.warn(text, RuntimeWarning, stacklevel=2)

    def close(self) -> None:
        """Nothing."""


class FailSafeDisplay:
    """Another display, until it cannot be written any more: a closed terminal, a full disk that the
    output goes to, or an encoding that lacks a character is no reason to end a run."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def resumed(self, returns: Sequence[float]) -> None:
        """Go on with a run."""
        self._try(lambda: self._display.resumed(returns))

    def show(self, iteration: Iteration) -> None:
        """Show one more iteration."""
        self._try(lambda: self._display.show(iteration))

    def note(self, text: str) -> None:
        """Say something that happened."""
        self._try(lambda: self._display.note(text))

    def close(self) -> None:
        """Close it."""
        self._try(lambda: self._display.close())

    def _try(self, do: Callable[[], None]) -> None:
        try:
            do()
        except (OSError, UnicodeEncodeError):
            self._display = NullDisplay()
        except ValueError:
            # What Python says of a stream that was closed.
            if not any(getattr(stream, "closed", False) for stream in (sys.stdout, sys.stderr)):
                raise
            self._display = NullDisplay()


class NullDisplay:
    """Shows nothing, and says nothing."""

    def resumed(self, returns: Sequence[float]) -> None:
        """Nothing."""

    def show(self, iteration: Iteration) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class _Summary:
    """What is said of the run's state, in words."""

    def __init__(self) -> None:
        self.returns: deque[float] = deque(maxlen=WINDOW)
        self._evaluated: float | None = None
        self.compile_seconds = 0.0

    def add(self, iteration: Iteration) -> None:
        self.returns.extend(iteration.episode_returns.tolist())
        self.compile_seconds += iteration.timing.compile
        if iteration.evaluation is not None:
            self._evaluated = iteration.evaluation.mean

    def text(self, iteration: Iteration) -> str:
        metrics = iteration.metrics
        if self.returns:
            count = len(self.returns)
            mean = f"return {sum(self.returns) / count:.1f} (last {count} episodes)"
        elif iteration.timing.collected:
            mean = "no finished episode yet"
        else:
            mean = f"objective {metrics['objective_after']:.3f}"
        parts = [
            f"{iteration.steps:,} steps",
            f"{iteration.timing.steps_per_s:,.0f} steps/s",
            mean,
            f"KL {metrics['kl_mean']:.4f}",
        ]
        if "accepted" in metrics:
            # A share where several steps make an update.
            share = float(metrics["accepted"])
            told = {1.0: "step accepted", 0.0: "step REFUSED"}
            parts.append(told.get(share, f"{share:.0%} of steps accepted"))
        if self._evaluated is not None:
            parts.append(f"evaluated {self._evaluated:.1f}")
        if metrics["refused"]:
            parts.append("update REFUSED: not finite")
        elif metrics["learned_rows"] == 0:
            parts.append("NOTHING LEARNED: no episode ended within the batch, raise horizon")
        return " · ".join(parts)


class ProgressBar:
    """A progress bar that is redrawn in place."""

    def __init__(self, console: Console, total_steps: int) -> None:
        self._summary = _Summary()
        self._progress = Progress(
            BarColumn(20),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.description}"),
            console=console,
        )
        self._task = self._progress.add_task("compiling …", total=total_steps)
        self._progress.start()

    def resumed(self, returns: Sequence[float]) -> None:
        """Its next mean is also of these."""
        self._summary.returns.extend(returns)

    def show(self, iteration: Iteration) -> None:
        """Redraw with one more iteration."""
        self._summary.add(iteration)
        for notice in iteration.notices:
            self._progress.console.print(notice, highlight=False, markup=False)
        text = self._summary.text(iteration)
        self._progress.update(self._task, completed=iteration.steps, description=text)

    def note(self, text: str) -> None:
        """Say it above the bar."""
        self._progress.console.print(text, soft_wrap=True, highlight=False, markup=False)

    def close(self) -> None:
        """Leave the last state on the screen."""
        self._progress.stop()
        if self._summary.compile_seconds:
            self._progress.console.print(f"compiled in {self._summary.compile_seconds:.1f} s")


class LineDisplay:
    """A plain line for the first iteration, then one every `every` seconds and for the last."""

    def __init__(self, console: Console, *, every: float = 5.0) -> None:
        self._console = console
        self._summary = _Summary()
        self._every = every
        self._printed = -float("inf")
        self._pending: Iteration | None = None

    def resumed(self, returns: Sequence[float]) -> None:
        """Its next mean is also of these."""
        self._summary.returns.extend(returns)

    def show(self, iteration: Iteration) -> None:
        """Print the iteration if the last line is old enough, and its notices in any case."""
        self._summary.add(iteration)
        for notice in iteration.notices:
            self._print(notice)
        if iteration.number == 0 and iteration.timing.compile:
            self._print(f"compiled in {iteration.timing.compile:.1f} s")
        self._pending = iteration
        now = time.monotonic()
        if now - self._printed >= self._every:
            self._printed = now
            self._flush()

    def note(self, text: str) -> None:
        """Print it."""
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)

    def _flush(self) -> None:
        if self._pending is not None:
            self._print(self._summary.text(self._pending))
            self._pending = None

    def _print(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)

    def close(self) -> None:
        """Print the last iteration if it was not."""
        self._flush()


def make_display(console: Console, total_steps: int) -> Display:
    """`ProgressBar` on a terminal, `LineDisplay` elsewhere."""
    return ProgressBar(console, total_steps) if console.is_terminal else LineDisplay(console)

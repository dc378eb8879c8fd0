"""Live progress: a bar on a terminal and in a notebook, a plain line now and then elsewhere."""

from __future__ import annotations

import dataclasses
import functools
import sys
import time
import warnings
from collections.abc import Callable
from typing import Protocol

import numpy as np
from rich.console import Console

from surefoot.common.errors import UsageError
from surefoot.common.printable import printable
from surefoot.runs.display.gauge import Gauge
from surefoot.runs.display.screen import open_screen
from surefoot.runs.display.status_line import StatusLine
from surefoot.runs.score import Scoring
from surefoot.training.iteration import Iteration


class Display(Protocol):
    """Shows iterations as they come."""

    def resumed(self, scoring: Scoring, /) -> None:
        """Go on with a run that has this score so far."""

    def show(self, iteration: Iteration, /) -> None:
        """Show one more iteration."""

    def note(self, text: str, /) -> None:
        """Say something that happened."""

    def close(self) -> None:
        """Show the last state and leave the terminal as it was."""


def _ignore(*_: object) -> None:
    pass


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)


@dataclasses.dataclass(kw_only=True)
class CallbackDisplay:
    """A display put together of functions. What none is given for is not shown, but notes become
    Python warnings: nobody would see them otherwise."""

    resumed: Callable[[Scoring], None] = _ignore
    show: Callable[[Iteration], None] = _ignore
    note: Callable[[str], None] = _warn
    close: Callable[[], None] = _ignore


#: Shows nothing, and says nothing.
SILENT = CallbackDisplay(note=_ignore)


class FailSafeDisplay:
    """Another display, until it cannot be written any more: a closed terminal, a full disk that the
    output goes to, or an encoding that lacks a character is no reason to end a run."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def resumed(self, scoring: Scoring) -> None:
        """Go on with a run."""
        self._try(lambda: self._display.resumed(scoring))

    def show(self, iteration: Iteration) -> None:
        """Show one more iteration."""
        self._try(lambda: self._display.show(iteration))

    def note(self, text: str) -> None:
        """Say something that happened."""
        self._try(lambda: self._display.note(printable(text)))

    def close(self) -> None:
        """Close it."""
        self._try(lambda: self._display.close())

    def _try(self, do: Callable[[], None]) -> None:
        try:
            do()
        except (OSError, UnicodeEncodeError):
            self._display = SILENT
        except ValueError:
            # What Python says of a stream that was closed.
            if not any(getattr(stream, "closed", False) for stream in (sys.stdout, sys.stderr)):
                raise
            self._display = SILENT


#: Seconds between two drawings of a bar.
_PAUSE = 0.1


class ProgressBar:
    """A line that is redrawn in place: bar, percentage and time left, then what there is room
    for."""

    def __init__(
        self,
        console: Console,
        total_steps: int,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._summary, self._clock = StatusLine(), clock
        self._gauge = Gauge(total_steps, clock)
        self._drawn, self._shown = clock(), False
        self._screen = open_screen(console, self._gauge)

    def resumed(self, scoring: Scoring) -> None:
        """Its score goes on from this one."""
        self._summary.scoring = scoring

    def show(self, iteration: Iteration) -> None:
        """Redraw with one more iteration."""
        self._summary.add(iteration)
        for notice in iteration.notices:
            self._screen.say(notice)
        self._gauge.update(iteration.steps, self._summary.told(iteration))
        if not self._shown or self._clock() - self._drawn >= _PAUSE:
            self._drawn, self._shown = self._clock(), True
            self._screen.draw()

    def note(self, text: str) -> None:
        """Say it above the bar."""
        self._screen.say(text)

    def close(self) -> None:
        """Leave the last state on the screen; nothing of a run that never began."""
        self._gauge.end()
        self._screen.close(keep=self._shown)
        if self._summary.compile_seconds:
            self._screen.say(f"compiled in {self._summary.compile_seconds:.1f} s")


class LineDisplay:
    """A plain line for the first iteration, then one every `every` seconds and for the last."""

    def __init__(self, console: Console, *, every: float = 5.0) -> None:
        self._console = console
        self._summary = StatusLine()
        self._every = every
        self._printed = -float("inf")
        self._pending: Iteration | None = None

    def resumed(self, scoring: Scoring) -> None:
        """Its score goes on from this one."""
        self._summary.scoring = scoring

    def show(self, iteration: Iteration) -> None:
        """Print the iteration if the last line is old enough, and its notices in any case."""
        self._summary.add(iteration)
        for notice in iteration.notices:
            self.note(notice)
        if iteration.number == 0 and iteration.timing.compile:
            self.note(f"compiled in {iteration.timing.compile:.1f} s")
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
            self.note(" · ".join(self._summary.told(self._pending)))
            self._pending = None

    def close(self) -> None:
        """Print the last iteration if it was not."""
        self._flush()


def make_display(console: Console, total_steps: int) -> Display:
    """`ProgressBar` on a terminal and in a notebook, `LineDisplay` elsewhere."""
    if not _can_redraw(console):
        return LineDisplay(console)
    try:
        return ProgressBar(console, total_steps)
    except OSError:
        # A terminal that was closed.
        return SILENT


def _can_redraw(console: Console) -> bool:
    return console.is_jupyter or (console.is_terminal and not console.is_dumb_terminal)


def choose_display(
    progress: bool | None, display: Callable[[int], Display] | None
) -> Callable[[int], Display]:
    """What makes the display of a run that is started from Python: `display` itself, or what
    `make_display` makes on standard error where `progress` says so, or says nothing and there is a
    terminal or a notebook. Raises `UsageError` where the two are no such thing."""
    if display is not None:
        if progress is not None:
            raise UsageError("progress and display; accepted is one of them")
        return display
    if progress is not None and not isinstance(progress, bool | np.bool_):
        raise UsageError(f"progress is {progress!r}; accepted are True, False and None")
    console = Console(stderr=True)
    if _can_redraw(console) if progress is None else progress:
        return functools.partial(make_display, console)
    return lambda total_steps: CallbackDisplay()

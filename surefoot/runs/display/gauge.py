"""How much of a run is done, in one line: a bar, the percentage and the time that is left, and then
as much of what else is told as there is room for."""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

_FULL, _REST = "━", "─"
_BARS = "▁▂▃▄▅▆▇█"
#: Where a terminal has only ASCII.
_PLAIN = str.maketrans(_FULL + _REST, "#-")
#: Seconds over which the rate is measured that the time left is told from, and between two marks.
_WINDOW, _BETWEEN = 30.0, 0.5


def bar(share: float, width: int) -> str:
    """A bar of that many characters, full up to a share of it."""
    full = round(min(1.0, max(0.0, share)) * width)
    return _FULL * full + _REST * (width - full)


def sparkline(values: Sequence[float], width: int) -> str:
    """A course in `width` characters at most, each the mean of an equal share of it."""
    count = min(width, len(values))
    if count <= 0:
        return ""
    edges = [i * len(values) // count for i in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    low, high = min(means), max(means)
    # Also where the difference is more than a number can be.
    if not 0 < high - low < math.inf:
        return _BARS[0] * count
    return "".join(_BARS[int((x - low) / (high - low) * (len(_BARS) - 1) + 0.5)] for x in means)


def percentage(share: float) -> str:
    """A share in whole percent, which is 100 only where all is done."""
    return "100%" if share >= 1.0 else f"{min(share, 0.99):.0%}"


def fit(told: Iterable[str], width: int, separator: str = " · ") -> str:
    """The first of these fields, as many as fit."""
    text = ""
    for field in told:
        longer = f"{text}{separator}{field}" if text else field
        if cell_len(longer) > width:
            break
        text = longer
    return text


def duration(seconds: float) -> str:
    """A time in one unit: 45 s, 12 min, 3.5 h, 2.1 d."""
    for unit, length in (("d", 86400.0), ("h", 3600.0)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(0.0, seconds):.0f} s"


class Gauge:
    """The line, drawn anew at every look."""

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._clock = total, clock
        self._began = clock()
        self._steps = 0
        # A rate begins at the end of the first iteration: it compiles, and of a run that is gone on
        # with, its steps are those of all that came before.
        self._marks: deque[tuple[float, int]] = deque()
        self._last = self._began
        self._told: tuple[str, ...] = ("compiling …",)
        self._ended = False

    def update(self, steps: int, told: Iterable[str]) -> None:
        """So many steps are done, and this is to be told beside."""
        now = self._clock()
        self._steps, self._last, self._told = steps, now, tuple(told)
        if not self._marks or now - self._marks[-1][0] >= _BETWEEN:
            self._marks.append((now, steps))
        while len(self._marks) > 1 and now - self._marks[1][0] > _WINDOW:
            self._marks.popleft()

    def end(self) -> None:
        """There is no more to come."""
        self._ended = True

    @property
    def share(self) -> float:
        """How much is done."""
        return self._steps / max(1, self._total)

    @property
    def time_told(self) -> str:
        """The time that is left, once that can be known; at the end, how long it took."""
        if self._ended:
            return f"in {duration(self._last - self._began)}"
        if not self._marks:
            return ""
        began, before = self._marks[0]
        if self._steps == before or self._last == began:
            return ""
        left = (self._total - self._steps) * (self._last - began) / (self._steps - before)
        return f"{duration(left - (self._clock() - self._last))} left"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        drawn = bar(self.share, min(20, max(10, width // 6)))
        line = f"{drawn.translate(_PLAIN) if options.ascii_only else drawn} "
        line += " ".join(filter(None, (f"{percentage(self.share):>4}", self.time_told)))
        text = Text(line, no_wrap=True, overflow="crop")
        text.stylize("bar.complete", 0, drawn.count(_FULL))
        told = fit(self._told, width - text.cell_len - 2)
        yield text.append(f"  {told}") if told else text

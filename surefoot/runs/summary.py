"""What is worth seeing of a run while it is running, from its rows one after the other."""

from __future__ import annotations

import math
from array import array
from collections import deque
from typing import Any

#: Episodes and iterations that what is called recent runs over.
WINDOW = 100

#: Fields whose course is kept.
COURSES = ("kl_mean", "entropy", "explained_variance")


class Summary:
    """A run so far."""

    def __init__(self) -> None:
        self.last: dict[str, Any] = {}
        """The newest row; empty before the first."""
        self.rows = 0
        """Rows so far."""
        self.refused = 0
        """Updates that were refused."""
        self.batch = 0
        """Steps of the newest iteration."""
        self.returns: deque[float] = deque(maxlen=WINDOW)
        """Of the last episodes."""
        self.lengths: deque[float] = deque(maxlen=WINDOW)
        """Of the same, in steps."""
        self.rates: deque[float] = deque(maxlen=10)
        """Environment steps per second of the last iterations."""
        self.accepted: deque[float] = deque(maxlen=WINDOW)
        """Share of the last updates' steps that were taken."""
        self.backtracks: deque[float] = deque(maxlen=WINDOW)
        """How often those were shortened."""
        self.spent: dict[str, float] = {}
        """Seconds so far, by what they were spent on."""
        self.courses: dict[str, array[float]] = {name: array("d") for name in ("return", *COURSES)}
        """A number an iteration; "return" is the mean of the episodes that ended in it."""

    def add(self, row: dict[str, Any]) -> None:
        """One more row. What it lacks, or what is no number, counts in nothing."""
        self.rows += 1
        self.batch = int(_number(row.get("steps"))) - int(_number(self.last.get("steps")))
        self.last = row
        self.refused += row.get("refused") is True
        returns = [_number(x) for x in row.get("episode_returns", ())]
        self.returns.extend(returns)
        self.lengths.extend(_number(x) for x in row.get("episode_lengths", ()))
        if returns:
            self.courses["return"].append(sum(returns) / len(returns))
        for name in COURSES:
            if name in row:
                self.courses[name].append(_number(row[name]))
        for name in ("accepted", "backtracks"):
            if name in row:
                getattr(self, name).append(_number(row[name]))
        timing = row.get("timing", {})
        if timing.get("steps_per_s"):
            self.rates.append(_number(timing["steps_per_s"]))
        for part, seconds in timing.items():
            if part not in ("total", "steps_per_s") and seconds:
                self.spent[part] = self.spent.get(part, 0.0) + _number(seconds)

    @property
    def steps(self) -> int:
        """Environment steps so far."""
        return int(_number(self.last.get("steps")))

    @property
    def mean_return(self) -> float | None:
        """Mean of the last episodes' returns; `None` before the first has ended."""
        return mean(self.returns)

    @property
    def rate(self) -> float | None:
        """Environment steps per second, lately: the median, for the first iteration compiles."""
        return sorted(self.rates)[len(self.rates) // 2] if self.rates else None


def mean(values: Any) -> float | None:
    """The mean, if there is one."""
    return sum(values) / len(values) if values else None


def _number(value: Any) -> float:
    """The number that a row holds: 0 for none, or for one that is not finite."""
    try:
        number = float(value or 0.0)
    except (TypeError, ValueError):
        return 0.0
    return number if math.isfinite(number) else 0.0

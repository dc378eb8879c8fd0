"""What is worth seeing of a run while it is running, from its rows one after the other."""

from __future__ import annotations

from array import array
from collections import deque
from typing import Any

from surefoot.common.files.json_reading import fields, finite, number, numbers
from surefoot.runs.folder.diagnostic_table import followed
from surefoot.runs.score import Scoring

#: Iterations, and episodes of a length, that what is called recent runs over.
WINDOW = 100
#: Fields whose course is kept.
COURSES = followed()


class Summary:
    """A run so far."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}
        """Numbers of the newest row, finite or not: those of `COURSES`."""
        self.steps = 0
        """Environment steps so far."""
        self.rows = 0
        """Rows so far."""
        self.refused = 0
        """Updates that were refused; of runs side by side, of all of them."""
        self.batch = 0
        """Steps of the newest iteration."""
        self.scoring = Scoring()
        """How good it is."""
        self.lengths: deque[float] = deque(maxlen=WINDOW)
        """Of the last episodes, in steps."""
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
        """One more row. What it lacks, or what is no finite number, counts in nothing."""
        self.rows += 1
        before, self.steps = self.steps, max(0, int(finite(row.get("steps")) or 0))
        self.batch = self.steps - before
        last = {name: number(row.get(name)) for name in COURSES}
        self.last = {name: value for name, value in last.items() if value is not None}
        self.refused += int(finite(row.get("refused")) or 0)
        told = row.get("episode_returns")
        ended = [x for x in map(number, told if isinstance(told, list) else []) if x is not None]
        self.scoring.add(self.steps, ended)
        returns = numbers(ended)
        self.lengths.extend(numbers(row.get("episode_lengths")))
        if returns:
            self.courses["return"].append(sum(returns) / len(returns))
        for name in COURSES:
            self.courses[name].extend(numbers([row.get(name)]))
        self.accepted.extend(numbers([row.get("accepted")]))
        self.backtracks.extend(numbers([row.get("backtracks")]))
        for part, value in fields(row.get("timing")).items():
            seconds = finite(value) or 0.0
            if seconds <= 0 or part == "total":
                continue
            if part == "steps_per_s":
                self.rates.append(seconds)
            else:
                self.spent[part] = self.spent.get(part, 0.0) + seconds

    @property
    def rate(self) -> float | None:
        """Environment steps per second, lately: the median, for the first iteration compiles."""
        return sorted(self.rates)[len(self.rates) // 2] if self.rates else None


def mean(values: Any) -> float | None:
    """The mean, if there is one."""
    return sum(values) / len(values) if values else None

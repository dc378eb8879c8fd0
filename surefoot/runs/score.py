"""How good a run is, as one number: the same in a report, in `watch`, on the live line and in a
benchmark's row.

A run is scored over its last steps and not over its last episodes, of which a good policy has few
and long ones: a hundred of them may reach back to where it had not learned yet. For a run of n
steps the score is the mean

1. of the evaluations after more than 9n/10 steps, where the run was evaluated; where none of them
   is that late, of the newest one;
2. otherwise of the returns of the training episodes that ended after more than 9n/10 steps; where
   none did, of those that ended last, at the same number of steps.

An episode counts as ended at the number of steps that its iteration's row has. What is not finite
counts in no mean; a run of whose window nothing is finite has diverged. Without any evaluation or
episode there is no score.

`learning_curve` cuts the run into fiftieths instead, the last five of which are the score's window,
and says how fast it learned: `steps_to` a threshold, and the `area` under the curve.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

#: Steps before a run's last tenth, and all of them, as whole numbers: no rounding at the border.
_BEFORE, _ALL = 9, 10
#: Parts of a run that a learning curve has a point for each.
POINTS = 50


class Returns(NamedTuple):
    """Episodes, or evaluations, grouped by when they were there; arrays of one length."""

    steps: np.ndarray
    """Environment steps of the run at that moment."""
    ended: np.ndarray
    """How many there were; at least one."""
    finite: np.ndarray
    """How many of those have a finite return."""
    total: np.ndarray
    """Sum of the finite returns."""

    @classmethod
    def of(
        cls, steps: Sequence[float] | np.ndarray, returns: Sequence[float] | np.ndarray
    ) -> Returns:
        """Single ones: `steps` and `returns` of each."""
        values = np.asarray(returns, float)
        finite = np.isfinite(values)
        ones = np.ones(len(values))
        return cls(np.asarray(steps, float), ones, finite * 1.0, np.where(finite, values, 0.0))


NOTHING = Returns.of([], [])


class Score(NamedTuple):
    """A run's score, and what it is the mean of."""

    value: float
    """NaN where there is none."""
    finite: int
    """Evaluations or episodes that it is the mean of."""
    ended: int
    """The same with those whose return is not finite."""
    of: Literal["evaluation", "episode"]
    recent: bool
    """Whether they lie in the last tenth of the steps; otherwise they are the newest that there
    are."""

    @property
    def exists(self) -> bool:
        """Whether it is a number."""
        return math.isfinite(self.value)

    @property
    def diverged(self) -> bool:
        """Whether there were evaluations or episodes, and none with a finite return."""
        return self.ended > 0 and not self.exists

    @property
    def brief(self) -> str:
        """What it is the mean of, for a line with little room."""
        which = f"{self.ended:,} {self.of}{'s' * (self.ended != 1)}"
        return f"last tenth: {which}" if self.recent else f"last {which}"

    @property
    def words(self) -> str:
        """What it is, for a reader."""
        if not self.ended:
            return "no episode ended"
        several = self.ended > 1
        which = f"{self.ended:,} {self.of}s" if several else f"the one {self.of}"
        if self.of == "evaluation":
            what = f"mean of {which} in" if self.recent else "the newest evaluation, before"
            return f"{what} the last tenth of the steps"
        ended = f"mean of the {which}" if several else which
        if self.recent:
            return f"{ended} that ended in the last tenth of the steps"
        return f"{ended} that ended last, before the last tenth of the steps"


def score(steps: float, episodes: Returns, evaluations: Returns = NOTHING) -> Score:
    """The score of a run after `steps` environment steps, from its training episodes and its
    evaluations. In the order of any; what is later than `steps` counts, too."""
    of: Literal["evaluation", "episode"] = "evaluation" if len(evaluations.steps) else "episode"
    source = evaluations if of == "evaluation" else episodes
    if not len(source.steps):
        return Score(math.nan, 0, 0, of, recent=False)
    within = _ALL * source.steps > _BEFORE * steps
    recent = bool(within.any())
    if not recent:
        within = source.steps == source.steps.max()
    ended, finite = int(source.ended[within].sum()), int(source.finite[within].sum())
    value = float(source.total[within].sum()) / finite if finite else math.nan
    return Score(value, finite, ended, of, recent)


class Scoring:
    """The score of a run that goes on. It holds what may still count: the rows of the last tenth of
    the steps, and at most as many before."""

    def __init__(self) -> None:
        self.steps = 0
        """Environment steps so far."""
        self._episodes, self._evaluations = _Rows(), _Rows()

    def add(self, steps: int, returns: Iterable[float]) -> None:
        """One more iteration, after which the run has that many steps, and the returns of the
        episodes that ended in it."""
        self.steps = steps
        self._episodes.add(steps, returns, keep_after=steps)

    def add_evaluation(self, steps: int, mean: float) -> None:
        """One more evaluation, after so many steps."""
        self._evaluations.add(steps, (mean,), keep_after=max(steps, self.steps))

    def replace_evaluations(self, points: Iterable[tuple[int, float]]) -> None:
        """Take these evaluations, (steps, mean) each, for those that were added."""
        self._evaluations = _Rows()
        for steps, mean in points:
            self.add_evaluation(steps, mean)

    @property
    def score(self) -> Score:
        """The score so far."""
        return score(self.steps, self._episodes.returns(), self._evaluations.returns())

    @classmethod
    def together(cls, runs: Sequence[Scoring]) -> Scoring:
        """That of runs side by side shown as one, whose steps are those of all."""
        both = cls()
        both.steps = sum(run.steps for run in runs)
        for rows, parts in (
            (both._episodes, [run._episodes for run in runs]),
            (both._evaluations, [run._evaluations for run in runs]),
        ):
            rows.merge(parts, times=len(runs))
        return both


class _Rows:
    """`Returns` that grow at the end and are forgotten at the beginning."""

    def __init__(self) -> None:
        self._columns = tuple(array("d") for _ in Returns._fields)

    def add(self, steps: float, returns: Iterable[float], *, keep_after: float) -> None:
        values = list(returns)
        if not values:
            return
        finite = [value for value in values if math.isfinite(value)]
        row = (steps, len(values), len(finite), sum(finite))
        for column, value in zip(self._columns, row, strict=True):
            column.append(value)
        at = self._columns[0]
        half = len(at) // 2
        # Never the newest, which counts until there is another.
        if half and _ALL * at[half] <= _BEFORE * keep_after:
            for column in self._columns:
                del column[:half]

    def merge(self, parts: Sequence[_Rows], *, times: int) -> None:
        rows = sorted(row for part in parts for row in zip(*part._columns, strict=True))
        for row in rows:
            for column, value in zip(self._columns, (times * row[0], *row[1:]), strict=True):
                column.append(value)

    def returns(self) -> Returns:
        return Returns(*(np.array(column) for column in self._columns))


def learning_curve(steps: float, returns: Returns) -> tuple[np.ndarray, np.ndarray]:
    """The mean return in each fiftieth of a run: (steps at its end, mean), [`POINTS`] each. A part
    in which nothing has a finite return has NaN."""
    place = np.ceil(returns.steps * POINTS / steps).astype(int) if steps > 0 else np.zeros(0, int)
    inside = (place >= 1) & (place <= POINTS)
    sums, counts = (
        np.bincount(place[inside] - 1, weights=part[inside], minlength=POINTS)
        for part in (returns.total, returns.finite)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(counts > 0, sums / counts, np.nan)
    return np.arange(1, POINTS + 1) * steps / POINTS, means


def steps_to(threshold: float, ends: np.ndarray, means: np.ndarray) -> float:
    """Steps at the end of the first part of a learning curve whose mean is at least the threshold;
    infinite where none is."""
    reached = np.flatnonzero(means >= threshold)
    return float(ends[reached[0]]) if len(reached) else math.inf


def area(means: np.ndarray) -> float:
    """Area under a learning curve over its length, in the unit of returns: the mean over the parts,
    of which one without a return has that of the part before it. Parts before the first return
    count for nothing; NaN where there is none."""
    known = np.flatnonzero(np.isfinite(means))
    if not len(known):
        return math.nan
    # For each place the last one before it that is known.
    last = np.maximum.accumulate(np.where(np.isfinite(means), np.arange(len(means)), 0))
    return float(means[last][known[0] :].mean())

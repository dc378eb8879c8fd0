"""`Log`: a run as the numbers that a report shows of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from surefoot.runs.score import NOTHING, Returns, Score, learning_curve, score


class Evaluations(NamedTuple):
    """Evaluations beside the training, one an entry."""

    steps: np.ndarray
    """Environment steps of training before it."""
    mean: np.ndarray
    """Mean return of its episodes."""
    std: np.ndarray
    """Their standard deviation."""


class Log(NamedTuple):
    """What a run's folder says."""

    folder: Path
    config: dict[str, Any]
    """`config.json`; method, environment, hyperparameters and setup are of the right kinds."""
    steps: np.ndarray
    """Environment steps after each iteration, [iterations]."""
    traced: dict[str, np.ndarray]
    """The diagnostics that comparisons show and the run has, [iterations] each."""
    refused: np.ndarray
    """Steps at which an update was refused."""
    restarts: np.ndarray
    """Steps at which environments were restarted, once for each."""
    episode_steps: np.ndarray
    """Steps at which each episode ended; those of an iteration are spread over it evenly."""
    returns: np.ndarray
    """Each episode's return."""
    columns: dict[str, np.ndarray]
    """Every numeric diagnostic of the rows that were read in detail, `steps` among them; times
    begin with `timing.`, components of a list end in `.0`, `.1`, …; NaN where a row has none."""
    every: int
    """Of how many rows one was read in detail."""
    evaluations: Evaluations | None
    notes: tuple[str, ...]
    """What was left out of the files, and what else is to be known of the run."""
    budget: int | None
    """Environment steps at most, if its folder says so: more than its configuration has where the
    run was made longer."""
    critic_refused: np.ndarray
    """Steps at which the critic's fit was refused, its update's refusals among them."""

    @property
    def ended(self) -> Returns:
        """The episodes, each at the steps of the row that has it."""
        if not len(self.steps):
            return NOTHING
        row = np.searchsorted(self.steps, self.episode_steps).clip(max=len(self.steps) - 1)
        return Returns.of(self.steps[row], self.returns)

    @property
    def evaluated(self) -> Returns:
        """The evaluations, by their means."""
        at = self.evaluations
        return NOTHING if at is None else Returns.of(at.steps, at.mean)

    @property
    def score(self) -> Score:
        """How good the run was."""
        return score(self.total, self.ended, self.evaluated)

    @property
    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Its learning curve, (steps, mean return) of each part of it: of the evaluations if there
        are any, of the episodes otherwise."""
        return learning_curve(
            self.total, self.ended if self.evaluations is None else self.evaluated
        )

    @property
    def total(self) -> int:
        """Environment steps done."""
        return int(self.steps[-1]) if len(self.steps) else 0

    @property
    def planned(self) -> int | None:
        """Environment steps that the run was to have, if its folder says so."""
        planned, first = self.config.get("steps"), self.config["setup"].get("steps")
        if not isinstance(planned, int):
            return None
        if self.budget is None or self.budget == first or not len(self.steps):
            return planned
        # Lines that are lost make some differences larger.
        batch = int(np.median(np.diff(self.steps, prepend=0.0)))
        return max(planned, self.budget // max(batch, 1) * max(batch, 1))

    @property
    def made_longer(self) -> bool:
        """Whether it was to go on after the steps that its configuration has."""
        return self.budget is not None and self.budget != self.config["setup"].get("steps")

    @property
    def complete(self) -> bool:
        """Whether the run came to its end."""
        return self.planned is None or self.total >= self.planned

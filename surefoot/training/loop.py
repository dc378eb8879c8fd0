"""`TrainingLoop`: a loop over one kind of data."""

from __future__ import annotations

import abc
from collections.abc import Generator
from typing import Any

from gymnasium import spaces

from surefoot.common.arrays import Snapshot
from surefoot.envs.spaces.actions import ActionMap
from surefoot.methods.learners.learner import Learner, TrainState
from surefoot.training.iteration import Iteration, ResumePoint, Seeds


class TrainingLoop(abc.ABC):
    """Collects with a learner's behavior, or reads what was collected, and learns from it."""

    name: str
    observation_space: spaces.Space
    action_space: spaces.Space
    num_envs: int
    rows: int
    """Steps of one iteration."""
    rows_in_words: str
    """The same, for a user."""
    cache_program: bool = False
    """Whether compiled programs may be cached: they are made from the library's own parts only."""
    sync_every: int = 0
    """Return the training state every this many iterations; 0 means only at the end."""

    @abc.abstractmethod
    def iterations(
        self,
        learner: Learner,
        to_env: ActionMap,
        state: TrainState,
        *,
        steps: int,
        seeds: Seeds,
        start: ResumePoint,
    ) -> Generator[Iteration]:
        """Iterations until another one might exceed `steps`. Whoever has enough closes it."""

    @abc.abstractmethod
    def restore(
        self, snapshot: Snapshot, state: TrainState, *, seed: int
    ) -> tuple[Any, str | None]:
        """(`ResumePoint.environments` for an `Iteration.snapshot` and its state, why the
        environments are not where they were). If they cannot be, they begin episodes of this seed.
        Raises `ValueError` if the snapshot is of something else."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close what this loop opened."""


def batch_rows(horizon: int, num_envs: int) -> tuple[int, str]:
    """Steps of a batch, and the same for a user."""
    rows = horizon * num_envs
    return rows, (
        f"one batch of horizon × num_envs = {horizon} × {num_envs} = {rows} steps: raise steps or "
        "lower horizon or num_envs"
    )

"""`DataSource`: a loop over one kind of data."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import Any

from gymnasium import spaces

from surefoot.common.arrays import Saved
from surefoot.envs.spaces.actions import ActionMap
from surefoot.methods.learners.learner import Learner, TrainState
from surefoot.training.iteration import Asking, Iteration, Seeds, Start


class DataSource(abc.ABC):
    """What a loop is run on."""

    name: str
    observation_space: spaces.Space
    action_space: spaces.Space
    num_envs: int
    rows: int
    """Steps of one iteration."""
    rows_in_words: str
    """The same, for a user."""
    keep: bool = False
    """Whether all that is compiled is the library's own, so that programs may be kept."""
    looked_at_every: int = 0
    """Iterations between two after which somebody wants the state of that moment; 0: never."""

    @abc.abstractmethod
    def iterations(
        self,
        learner: Learner,
        to_env: ActionMap,
        state: TrainState,
        *,
        steps: int,
        seeds: Seeds,
        start: Start,
        ask: Asking,
    ) -> Iterator[Iteration]:
        """The loop, until another iteration might exceed `steps` or the answer is to stop."""

    @abc.abstractmethod
    def restore(self, saved: Saved, *, seed: int) -> tuple[Any, str | None]:
        """(`Start.environments` for what an `Iteration.place` says, why the environments are not
        where they were). If they cannot be, they begin episodes of this seed. Raises `ValueError`
        where what was saved is of something else."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close what this source opened."""


def batch_rows(horizon: int, num_envs: int) -> tuple[int, str]:
    """Steps of a batch, and the same for a user."""
    rows = horizon * num_envs
    return rows, (
        f"one batch of horizon × num_envs = {horizon} × {num_envs} = {rows} steps: raise steps or "
        "lower horizon or num_envs"
    )

"""`TrainingLoop`: a loop over one kind of data."""

from __future__ import annotations

import abc
from collections.abc import Generator
from typing import Any

import jax
import jax.numpy as jnp
from gymnasium import spaces

from surefoot.common.arrays import Snapshot
from surefoot.core.data.replay_memory import blank_trajectory
from surefoot.core.data.types import Behavior, Trajectory
from surefoot.envs.spaces.actions import ActionMap
from surefoot.envs.spaces.encoding import Encoding
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
    segment_length: int | None = None
    """Rows of a segment, of networks with memory; `None`: all rows of an environment."""

    lives: bool = False
    """Whether lost lives end episodes for learning."""

    def blank(self, behavior: Behavior) -> Trajectory:
        """A trajectory without a valid row, of the shapes that this behavior will collect."""
        encoding = Encoding(self.observation_space)
        obs = encoding.blank((self.rows // self.num_envs, self.num_envs))
        return blank_trajectory(
            behavior,
            jax.tree.map(jnp.asarray, obs),
            segment_length=self.segment_length,
            images=bool(encoding.images),
            lives=self.lives,
        )

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

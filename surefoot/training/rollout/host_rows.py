"""What a rollout on the host writes into, and what it makes of it: arrays of fixed size, [T, N], a
group's columns side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from surefoot.core.data.types import Lives
from surefoot.envs.host.host_env import HostEnv, HostTransition
from surefoot.training.rollout.final_images import FinalImages
from surefoot.training.rollout.group_state import GroupState
from surefoot.training.rollout.transitions import Transitions, running_totals


class HostRows(NamedTuple):
    """Arrays that are filled while a trajectory is collected, [T, N, …]."""

    obs: Any
    next_obs: Any
    """`None` for images."""
    action: Any
    reward: np.ndarray
    """As it comes, float64."""
    terminated: np.ndarray
    truncated: np.ndarray
    valid: np.ndarray
    staggered: np.ndarray
    life_lost: np.ndarray | None
    """`None` where lives end nothing."""
    cost: np.ndarray | None
    """`None` where nobody asks."""
    finals: FinalImages | None
    """Of images, what is kept of next observations."""

    @classmethod
    def empty(cls, shape: tuple[int, int], obs: Any, action: Any, group: HostEnv) -> HostRows:
        """Rows for observations and raw actions like these, of a group [N, …]."""

        def like(tree: Any) -> Any:
            return jax.tree.map(lambda x: np.empty((*shape, *x.shape[1:]), x.dtype), tree)

        terminated, truncated, valid, staggered, lost = (np.empty(shape, bool) for _ in "abcde")
        flags = terminated, truncated, valid, staggered, lost if group.lives else None
        cost = np.empty(shape) if group.costs else None
        finals = FinalImages(shape[1]) if group.encoding.images else None
        next_obs = None if finals else like(obs)
        return cls(like(obs), next_obs, like(action), np.empty(shape), *flags, cost, finals)

    def put(self, at: tuple[int, slice], step: HostTransition) -> None:
        """Write what a step of a group returned."""
        if self.finals is None:
            put(self.next_obs, at, step.next_obs)
        else:
            self.finals.keep(at[1].start, step)
        self.reward[at] = step.reward
        self.terminated[at], self.truncated[at] = step.terminated, step.truncated
        self.valid[at], self.staggered[at] = step.valid, step.staggered
        if self.life_lost is not None:
            self.life_lost[at] = step.life_lost
        if self.cost is not None:
            self.cost[at] = step.cost

    def totals(
        self, states: Sequence[GroupState], current: Sequence[Any], columns: Sequence[slice]
    ) -> tuple[list[GroupState], Transitions]:
        """(where the groups stand, the transitions), with the totals of the episodes."""
        ends = (self.terminated | self.truncated) & self.valid
        # What was lost of an episode is in no statistic.
        ends |= ~self.valid
        earned_before = np.concatenate([state.episode_return for state in states])
        played_before = np.concatenate([state.episode_length for state in states])
        paid = np.where(self.valid, self.reward, 0.0)
        earned, earning = running_totals(paid, ends, earned_before)
        played, playing = running_totals(self.valid.astype(float), ends, played_before)
        kept = self._asdict()
        del kept["staggered"], kept["life_lost"], kept["finals"]
        if self.cost is not None:
            kept["cost"] = self.cost.astype(np.float32)
        if self.finals is not None:
            kept["next_obs"] = self.finals.following(current)
        transitions = Transitions(
            **{**kept, "reward": self.reward.astype(np.float32)},
            episode_return=earned.astype(np.float32),
            episode_length=played.astype(np.int32),
        )
        after = [
            GroupState(obs, earning[own], playing[own])
            for obs, own in zip(current, columns, strict=True)
        ]
        if self.life_lost is None:
            return after, transitions
        lived_before = np.concatenate([np.asarray(state.life_length) for state in states])
        lived, living = running_totals(
            self.valid.astype(float), ends | self.life_lost, lived_before
        )
        lives = Lives(self.life_lost, lived.astype(np.int32))
        after = [
            state._replace(life_length=living[own])
            for state, own in zip(after, columns, strict=True)
        ]
        return after, transitions._replace(lives=lives)


def put(rows: Any, at: Any, values: Any) -> None:
    """Write values into rows, trees of arrays."""
    if isinstance(rows, np.ndarray):
        rows[at] = values
        return
    for row, value in zip(jax.tree.leaves(rows), jax.tree.leaves(values), strict=True):
        row[at] = value

"""What is collected, before anything is computed of it, and the episodes that ended in it."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from surefoot.core.data.following import Following
from surefoot.core.data.normalization import Normalizer
from surefoot.core.data.segments import along_trajectory
from surefoot.core.data.types import Behavior, Lives, Trajectory


class Transitions(NamedTuple):
    """A `Trajectory` without the distributions, NumPy arrays: what the host has to hand over."""

    obs: PyTree[Any]
    action: PyTree[Any]
    reward: Float[np.ndarray, "T N"]
    next_obs: PyTree[Any] | Following
    terminated: Bool[np.ndarray, "T N"]
    truncated: Bool[np.ndarray, "T N"]
    valid: Bool[np.ndarray, "T N"]
    episode_return: Float[np.ndarray, "T N"]
    episode_length: Int[np.ndarray, "T N"]
    memory: Any = None
    """The policy's memory at the start of each segment, JAX's arrays [T/L, N, …]."""
    lives: Lives | None = None
    """Where lost lives end episodes for learning, NumPy arrays."""
    cost: Float[np.ndarray, "T N"] | None = None
    """What each row cost, where somebody asks."""

    @property
    def final_slots(self) -> int:
        """How many final images an environment may have: each number takes its own program."""
        return self.next_obs.slots if isinstance(self.next_obs, Following) else 0


def with_old(transitions: Any, policy: Behavior, normalizer: Normalizer) -> Trajectory:
    """The trajectory, with the distributions of the policy that acted: computed for all rows at
    once, where handing them over at every step would cost more than the network does. `transitions`
    are `Transitions`, of JAX's arrays or of NumPy's."""
    transitions = jax.tree.map(jnp.asarray, transitions)
    old = along_trajectory(policy, normalizer(transitions.obs), transitions)
    return Trajectory(old=old, **transitions._asdict())


class Episodes(NamedTuple):
    """The part of a trajectory that says which episodes ended in it, without those that were cut
    to bring environments out of phase."""

    done: Bool[Array | np.ndarray, "T N"]
    """The row is a transition and the last one of an episode that counts."""
    episode_return: Float[Array | np.ndarray, "T N"]
    episode_length: Int[Array | np.ndarray, "T N"]

    @classmethod
    def of(
        cls,
        trajectory: Trajectory | Transitions,
        staggered: Bool[Array | np.ndarray, "T N"] | None = None,
    ) -> Episodes:
        """The episodes of a trajectory; `staggered` rows end one that does not count."""
        done = (trajectory.terminated | trajectory.truncated) & trajectory.valid
        if staggered is not None:
            done &= ~staggered
        return cls(done, trajectory.episode_return, trajectory.episode_length)

    def ended(self) -> tuple[np.ndarray, np.ndarray]:
        """(returns, lengths) of the episodes that ended, in time order, as NumPy arrays."""
        done, returns, lengths = (np.asarray(x) for x in self)
        return returns[done], lengths[done]


def running_totals(
    x: Float[np.ndarray, "T N"], done: Bool[np.ndarray, "T N"], before: Float[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, "T N"], Float[np.ndarray, " N"]]:
    """Sums of `x` since each episode began, up to and with a row, where the running episodes had
    `before` when the rows began: (sums, what the running episodes have after the rows)."""
    totals = before + np.cumsum(x, axis=0, dtype=float)
    after = totals[-1].copy()
    # Most columns of many environments end no episode.
    for i in np.flatnonzero(done.any(axis=0)):
        start, carry = 0, before[i]
        for end in (np.flatnonzero(done[:, i]) + 1).tolist():
            totals[start:end, i] = carry + np.cumsum(x[start:end, i], dtype=float)
            start, carry = end, 0.0
        totals[start:, i] = carry + np.cumsum(x[start:, i], dtype=float)
        after[i] = totals[-1, i] if start < len(x) else 0.0
    return totals, after

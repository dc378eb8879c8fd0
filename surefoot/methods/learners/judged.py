"""What a critic says of a trajectory, with a memory or without.

V(s_{t+1}) is asked of the true next observation, also where the environment was reset afterwards,
with the memory that the critic has after row t: inside of an episode that is V of the next row.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from surefoot.core.data.normalization import Normalizer
from surefoot.core.data.segments import along_time, first_rows, in_batch
from surefoot.core.data.types import Trajectory
from surefoot.core.networks import Critic


class Judged(NamedTuple):
    """A trajectory as the critic saw it before it was fitted to it."""

    value: Float[Array, "T N"]
    """V(s_t)."""
    next_value: Float[Array, "T N"]
    """V(s_{t+1})."""
    memory: Any
    """The critic's memory at the start of each segment, leaves [S, …]; `None` without one."""
    next_memory: Any
    """Its memory after the last row, leaves [N, …]."""


def segment_length(data: Trajectory, critic_memory: Any) -> int | None:
    """The length of the segments that are learned from; `None` where neither network has a
    memory, and rows are in no order."""
    steps = data.reward.shape[0]
    starts = jax.tree.leaves(data.memory)
    if starts:
        return int(steps // starts[0].shape[0])
    return steps if jax.tree.leaves(critic_memory) else None


def judge(
    critic: Critic,
    memory: Any,
    obs: PyTree[Array],
    normalizer: Normalizer,
    data: Trajectory,
    length: int | None,
) -> Judged:
    """V of a trajectory's normalized observations `obs` and of its next ones, from the `memory`
    [N, …] on that the critic has where the trajectory begins."""
    following = normalizer(data.next_obs)
    if not jax.tree.leaves(memory):
        return Judged(critic.value(obs), critic.value(following), None, None)
    assert length is not None
    dist, memories = critic.unroll(along_time(obs), along_time(first_rows(data)), memory)
    steps, envs = data.reward.shape

    def flat(x: Array) -> Array:
        return x.reshape(-1, *x.shape[2:])

    after = jax.tree.map(flat, memories)
    no_start = jnp.zeros(steps * envs, bool)
    then, _ = critic.step(jax.tree.map(flat, along_time(following)), no_start, after)
    # [N, T, …]: what a segment starts with is what the row before it left.
    begun = jax.tree.map(lambda m, all_: jnp.concatenate([m[:, None], all_], 1), memory, memories)
    return Judged(
        value=along_time(dist.mean[..., 0]),
        next_value=along_time(then.mean[..., 0].reshape(envs, steps)),
        memory=jax.tree.map(lambda m: in_batch(along_time(m[:, :steps:length])), begun),
        next_memory=jax.tree.map(lambda m: m[:, -1], memories),
    )

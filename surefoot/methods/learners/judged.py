"""What a critic says of a trajectory, with a memory or without.

V(s_{t+1}) is asked of the true next observation, also where the environment was reset afterwards,
with the memory that the critic has after row t: inside of an episode that is V of the next row, and
of images is not asked for again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from surefoot.core.data.following import Following, cut_off, cut_rows, next_rows
from surefoot.core.data.normalization import Normalizer
from surefoot.core.data.segments import along_time, first_rows, in_batch, kept_in_batch
from surefoot.core.data.types import Batch, Trajectory
from surefoot.core.distributions import DiagGaussian
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


def segment_length(data: Trajectory) -> int | None:
    """The length of the segments that the policy learns from; `None` where it has no memory, and
    rows are in no order."""
    starts = jax.tree.leaves(data.memory)
    return int(data.reward.shape[0] // starts[0].shape[0]) if starts else None


def judge(
    critic: Critic | None,
    memory: Any,
    obs: PyTree[Array],
    normalizer: Normalizer,
    data: Trajectory,
) -> Judged:
    """V of a trajectory's normalized observations `obs` and of its next ones, from the `memory`
    [N, …] on that the critic has where the trajectory begins; zero without a critic."""
    if critic is None:
        zeros = jnp.zeros_like(data.reward)
        return Judged(zeros, zeros, None, None)
    if isinstance(data.next_obs, Following):
        following: Any = Following(*(normalizer(x) for x in data.next_obs))
    else:
        following = normalizer(data.next_obs)
    if jax.tree.leaves(memory):
        return _judge_along_time(critic, memory, obs, following, data)
    if not isinstance(following, Following):
        return Judged(critic.value(obs), critic.value(following), None, None)
    asked = jax.tree.map(lambda *x: jnp.concatenate(x), obs, *following)
    steps = data.reward.shape[0]
    value, last, final = jnp.split(critic.value(asked), (steps, steps + 1))
    return Judged(value, next_rows(value, last, final, _cut(data)), None, None)


def _cut(data: Trajectory) -> Bool[Array, "T N"]:
    return cut_off(data.terminated, data.truncated, data.valid)


def _judge_along_time(
    critic: Critic, memory: Any, obs: PyTree[Array], following: Any, data: Trajectory
) -> Judged:
    """`judge`, of a critic with a memory; `obs` and `following` are normalized."""
    steps, envs = data.reward.shape
    length = segment_length(data) or steps

    # A row that is no transition may hold anything, unless it is what followed one.
    goes_on = data.valid & ~(data.terminated | data.truncated)
    sound = data.valid.at[1:].set(data.valid[1:] | goes_on[:-1])

    def counted(x: Array) -> Array:
        return jnp.where(jnp.expand_dims(sound, range(2, x.ndim)), x, jnp.zeros((), x.dtype))

    seen = along_time(jax.tree.map(counted, obs))
    dist, memories = critic.unroll(seen, along_time(first_rows(data)), memory)
    value = along_time(dist.mean[..., 0])

    def flat(x: Array) -> Array:
        return x.reshape(-1, *x.shape[2:])

    def after(rows: PyTree[Array], memories: PyTree[Array]) -> Float[Array, "K N"]:
        """V of observations [K, N, …], with these memories before them."""
        lead = jax.tree.leaves(rows)[0].shape[:2]
        no_start = jnp.zeros(lead[0] * lead[1], bool)
        then, _ = critic.step(jax.tree.map(flat, rows), no_start, jax.tree.map(flat, memories))
        return then.mean[..., 0].reshape(lead)

    if isinstance(following, Following):
        cut = _cut(data)
        rows, each = cut_rows(cut, following.slots), jnp.arange(envs)
        at_end = jax.tree.map(lambda m: m[None, :, -1], memories)
        at_cut = jax.tree.map(lambda m: m[each, rows], memories)
        last, final = after(following.last, at_end), after(following.final, at_cut)
        next_value = next_rows(value, last, final, cut)
    else:
        next_value = along_time(after(along_time(following), memories))
    # [N, T, …]: what a segment starts with is what the row before it left.
    begun = jax.tree.map(lambda m, all_: jnp.concatenate([m[:, None], all_], 1), memory, memories)
    return Judged(
        value=value,
        next_value=next_value,
        memory=jax.tree.map(lambda m: in_batch(along_time(m[:, :steps:length])), begun),
        next_memory=jax.tree.map(lambda m: m[:, -1], memories),
    )


def to_fit(
    batch: Batch, judged: Judged, target: Float[Array, "T N"], obs: PyTree[Array], data: Trajectory
) -> Batch:
    """What the critic is fitted to: the policy's `batch` with value targets in the place of
    actions; where only the critic has a memory, in segments as long as the trajectory. `obs` are
    the normalized observations, [T, N, …]."""
    length = None if batch.starts is None else batch.weight.shape[1]
    if batch.starts is None and judged.memory is not None:
        length = data.reward.shape[0]
        weight = in_batch(batch.weight.reshape(data.reward.shape), length)
        batch = batch._replace(
            obs=kept_in_batch(obs, weight, length),
            weight=weight,
            advantage=weight,
            starts=in_batch(first_rows(data), length),
        )
    old = kept_in_batch(judged.value, batch.weight, length)[..., None]
    return batch._replace(
        action=kept_in_batch(target, batch.weight, length)[..., None],
        old=DiagGaussian(old, jnp.zeros_like(old)),
        memory=judged.memory,
    )

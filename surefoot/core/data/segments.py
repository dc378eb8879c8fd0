"""How a trajectory becomes a batch: row by row, or in segments.

A network without memory learns from rows in any order. One with a memory is asked along time: its
rows are consecutive ones of one environment, a *segment*, and a batch of them is [S, L, …] instead
of [B, …]. A segment starts with the memory that the acting network had there, and the memory starts
afresh where an episode does. Whatever is a mean over a batch is one over all of its entries.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from surefoot.core.data.types import Batch, Behavior, Trajectory
from surefoot.core.distributions import Distribution


def in_batch(x: Array, length: int | None = None) -> Array:
    """[T, N, …] as rows [T·N, …], the time outermost; with a `length` L, which divides T, as
    segments [T/L·N, L, …]."""
    if length is None:
        return x.reshape(-1, *x.shape[2:])
    steps, envs, *rest = x.shape
    split = x.reshape(steps // length, length, envs, *rest)
    return jnp.swapaxes(split, 1, 2).reshape(-1, length, *rest)


def kept_in_batch(
    tree: PyTree[Array], weight: Float[Array, "*B"], length: int | None = None
) -> PyTree[Array]:
    """The arrays [T, N, …] of a tree in a batch, zero where they have no weight: there they may
    hold anything, a NaN too, and 0·NaN is a NaN in a gradient."""

    def kept(x: Array) -> Array:
        flat = in_batch(x, length)
        counts = weight.reshape(*weight.shape, *(1,) * (x.ndim - 2)) > 0
        return jnp.where(counts, flat, jnp.zeros((), flat.dtype))

    return jax.tree.map(kept, tree)


def along_time(x: PyTree[Array]) -> PyTree[Array]:
    """[T, N, …] as [N, T, …], and back."""
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), x)


def first_rows(trajectory: Trajectory | Any) -> Bool[Array, "T N"]:
    """Which rows are the first of an episode, or of a life that is learned from as one."""
    lives = trajectory.lives
    length = trajectory.episode_length if lives is None else lives.length
    return trajectory.valid & (length == 1)


def terminations(trajectory: Trajectory) -> Bool[Array, "T N"]:
    """Which rows end the task, or a life that is learned from as an episode."""
    lives = trajectory.lives
    return trajectory.terminated if lives is None else trajectory.terminated | lives.lost


def finished(done: Bool[Array, "T N"], valid: Bool[Array, "T N"]) -> Bool[Array, "T N"]:
    """Whether a row is a transition of an episode that ends within the trajectory, and of which
    nothing was lost until there."""

    def backwards(after: Array, row: tuple[Array, Array]) -> tuple[Array, Array]:
        ended, is_valid = row
        return (is_valid & (ended | after),) * 2

    return jax.lax.scan(backwards, jnp.zeros_like(done[0]), (done, valid), reverse=True)[1]


def distribution(network: Any, batch: Batch) -> Distribution:
    """What a policy or a critic says of a batch, in segments or not."""
    if batch.starts is None:
        dist: Distribution = network(batch.obs)
        return dist
    dist, _ = network.unroll(batch.obs, batch.starts, batch.memory)
    return dist


def along_trajectory(
    behavior: Behavior, obs: PyTree[Array], trajectory: Trajectory | Any
) -> Distribution:
    """What a behavior says of a trajectory's normalized observations, [T, N, …], from the memory on
    that the trajectory began with."""
    if trajectory.memory is None:
        return behavior(obs)
    first = jax.tree.map(lambda m: m[0], trajectory.memory)
    starts = along_time(first_rows(trajectory))
    dist, _ = behavior.unroll(along_time(obs), starts, first)
    said: Distribution = along_time(dist)
    return said

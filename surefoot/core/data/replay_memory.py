"""`ReplayMemory`: the trajectories of earlier iterations.

A ring of trajectories that lie side by side, [T, S·N]: everything that is computed along time is
computed for each column of its own, so that what learns from one trajectory learns from several.
Observations and rewards are kept as they were collected, and with every action the distribution
that drew it: later iterations see them through their own normalizer, and know how likely the action
was then. Slots that nothing was put into yet have no valid row.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from surefoot.core.data.following import Following, within_slots
from surefoot.core.data.types import Behavior, Lives, Trajectory

#: Final images that are kept of an environment in a trajectory. Most have none.
FINAL_SLOTS = 2


class Remembered(NamedTuple):
    """A trajectory, or several side by side, and what the critic's memory was where they began."""

    trajectory: Trajectory
    critic_memory: Any
    """Leaves [N, …]; `None` for a critic without memory."""


class ReplayMemory(eqx.Module):
    """`slots` trajectories of `N` environments; the newest takes the place of the oldest."""

    kept: Remembered
    """[T, S·N], the columns of a slot side by side."""
    number: Int[Array, ""]
    """How many trajectories were put in, up to `slots`; then it stays between that and twice that,
    and the next one takes slot `number` mod `slots`."""
    slots: int = eqx.field(static=True)

    @classmethod
    def empty(cls, like: Remembered, slots: int) -> ReplayMemory:
        """Room for so many trajectories like this one, of which the shapes count alone."""

        def room(x: Array, axis: int) -> Array:
            shape = *x.shape[:axis], slots * x.shape[axis], *x.shape[axis + 1 :]
            return jnp.zeros(shape, x.dtype)

        kept = Remembered(
            jax.tree.map(lambda x: room(x, 1), like.trajectory),
            jax.tree.map(lambda x: room(x, 0), like.critic_memory),
        )
        return cls(kept, jnp.zeros((), jnp.int32), slots)

    @property
    def filled(self) -> Int[Array, ""]:
        """How many trajectories it holds."""
        return jnp.minimum(self.number, self.slots)

    def with_newest(self, newest: Remembered) -> Remembered:
        """All that it holds, and the newest beside it: the last `N` columns."""
        fitting = _fitting(newest)
        return Remembered(
            jax.tree.map(lambda *x: jnp.concatenate(x, 1), self.kept[0], fitting[0]),
            jax.tree.map(lambda *x: jnp.concatenate(x, 0), self.kept[1], fitting[1]),
        )

    def appended(self, newest: Remembered) -> ReplayMemory:
        """The memory that holds the newest trajectory, too."""
        slot = self.number % self.slots

        def put(room: Array, x: Array, axis: int) -> Array:
            return jax.lax.dynamic_update_slice_in_dim(room, x, slot * x.shape[axis], axis)

        fitting = _fitting(newest)
        kept = Remembered(
            jax.tree.map(lambda room, x: put(room, x, 1), self.kept[0], fitting[0]),
            jax.tree.map(lambda room, x: put(room, x, 0), self.kept[1], fitting[1]),
        )
        number = self.number + 1
        number = jnp.where(number == 2 * self.slots, self.slots, number)
        return ReplayMemory(kept, number, self.slots)

    def drawn(self, key: PRNGKeyArray) -> Remembered:
        """One of the trajectories that it holds, each as likely as any other; of an empty memory,
        one without a valid row."""
        slot = jax.random.randint(key, (), 0, jnp.maximum(self.filled, 1))

        def taken(x: Array, axis: int) -> Array:
            size = x.shape[axis] // self.slots
            return jax.lax.dynamic_slice_in_dim(x, slot * size, size, axis)

        return Remembered(
            jax.tree.map(lambda x: taken(x, 1), self.kept[0]),
            jax.tree.map(lambda x: taken(x, 0), self.kept[1]),
        )


def _fitting(newest: Remembered) -> Remembered:
    """The trajectory with room for as many final images as the memory has. A row whose image does
    not fit is no transition."""
    trajectory = newest.trajectory
    if not isinstance(trajectory.next_obs, Following):
        return newest
    ends = trajectory.terminated, trajectory.truncated, trajectory.valid
    following, valid = within_slots(trajectory.next_obs, *ends, FINAL_SLOTS)
    return newest._replace(trajectory=trajectory._replace(next_obs=following, valid=valid))


def blank_trajectory(
    behavior: Behavior,
    obs: PyTree[Array],
    *,
    segment_length: int | None = None,
    images: bool = False,
    lives: bool = False,
) -> Trajectory:
    """A trajectory without a valid row, of the shapes that `behavior` would collect where it sees
    encoded observations like `obs`, leaves [T, N, …]."""
    steps, envs = jax.tree.leaves(obs)[0].shape[:2]

    def shapes(obs: PyTree[Array]) -> Any:
        memory = behavior.initial(envs)
        dist, _ = behavior.step(jax.tree.map(lambda x: x[0], obs), jnp.ones(envs, bool), memory)
        return dist, dist.sample(jax.random.key(0)), memory

    dist, action, memory = eqx.filter_eval_shape(shapes, obs)

    def zeros(tree: Any, *leading: int) -> Any:
        def room(x: Any) -> Any:
            is_array = isinstance(x, jax.ShapeDtypeStruct)
            return jnp.zeros((*leading, *x.shape), x.dtype) if is_array else x

        return jax.tree.map(room, tree)

    number, flag = jnp.zeros((steps, envs)), jnp.zeros((steps, envs), bool)
    count = number.astype(jnp.int32)
    following: Any = obs
    if images:
        last = jax.tree.map(lambda x: x[:1], obs)
        following = Following(last, jax.tree.map(lambda x: _repeated(x[:1], FINAL_SLOTS), obs))
    return Trajectory(
        obs=obs,
        action=zeros(action, steps),
        old=zeros(dist, steps),
        reward=number,
        next_obs=following,
        terminated=flag,
        truncated=flag,
        valid=flag,
        episode_return=number,
        episode_length=count,
        memory=zeros(memory, steps // (segment_length or steps)),
        lives=Lives(flag, count) if lives else None,
    )


def _repeated(x: Array, times: int) -> Array:
    return jnp.concatenate([x] * times)

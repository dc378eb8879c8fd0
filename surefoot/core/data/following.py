"""Next observations that are kept only where no row has them, since images are large.

Inside an episode the observation after a row is the next row's. What follows a trajectory's last
row is kept, and what an episode came to that was cut off: its value is asked for, that of a
terminated one is not.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree


class Following(NamedTuple):
    """The next observations that no row has."""

    last: PyTree[Array]
    """After the last row, leaves [1, N, …]; the reset one where the episode ended there."""
    final: PyTree[Array]
    """The true s_{t+1} of the rows that cut an episode off, leaves [K, N, …]: an environment's
    first `K` such rows in their order, and zeros after them."""

    @property
    def slots(self) -> int:
        """K."""
        return int(jax.tree.leaves(self.final)[0].shape[0])


def cut_off(terminated: Any, truncated: Any, valid: Any) -> Any:
    """The rows [T, N] whose next observation is asked for and is no other row's."""
    return truncated & ~terminated & valid


def cut_rows(cut: Bool[Array, "T N"], slots: int) -> Int[Array, "K N"]:
    """The rows of `Following.final`; 0 where there is none."""
    number = jnp.cumsum(cut, axis=0)
    return jnp.stack([jnp.argmax(number > k, axis=0) for k in range(slots)])


def next_rows(of_rows: Array, of_last: Array, of_final: Array, cut: Bool[Array, "T N"]) -> Array:
    """What belongs to s_{t+1} of every row, [T, N, …], of what belongs to s_t [T, N, …], and to a
    `Following`: [1, N, …] and [K, N, …]. Where an episode terminated it may be anything."""
    shifted = jnp.concatenate([of_rows[1:], of_last])
    slot = jnp.clip(jnp.cumsum(cut, axis=0) - 1, 0, of_final.shape[0] - 1)
    more = range(2, of_rows.ndim)
    final = jnp.take_along_axis(of_final, jnp.expand_dims(slot, more), axis=0)
    return jnp.where(jnp.expand_dims(cut, more), final, shifted)


def within_slots(
    following: Following,
    terminated: Bool[Array, "T N"],
    truncated: Bool[Array, "T N"],
    valid: Bool[Array, "T N"],
    slots: int,
) -> tuple[Following, Bool[Array, "T N"]]:
    """(the next observations with so many final slots, which rows are transitions all the same):
    a row whose final observation does not fit is none."""

    def sized(x: Array) -> Array:
        room = [(0, max(0, slots - x.shape[0])), *[(0, 0)] * (x.ndim - 1)]
        return jnp.pad(x, room)[:slots]

    cut = cut_off(terminated, truncated, valid)
    lost = cut & (jnp.cumsum(cut, axis=0) > slots)
    return following._replace(final=jax.tree.map(sized, following.final)), valid & ~lost

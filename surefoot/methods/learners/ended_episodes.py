"""`EndedEpisodes`: what the last episodes cost, and how long they were."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class EndedEpisodes(NamedTuple):
    """The last `W` episodes that ended."""

    cost: Float[Array, "W K"]
    """Undiscounted."""
    length: Float[Array, " W"]
    number: Int[Array, ""]
    """How many there were, up to `W`; then it stays between that and twice that."""

    @classmethod
    def none(cls, window: int, costs: int) -> EndedEpisodes:
        """No episode yet."""
        number = jnp.zeros((), jnp.int32)
        return cls(jnp.zeros((window, costs)), jnp.zeros(window), number)

    def with_those(
        self,
        cost: Float[Array, "T N K"],
        length: Int[Array, "T N"],
        ended: Bool[Array, "T N"],
    ) -> EndedEpisodes:
        """With the episodes that these rows ended, in time order."""
        window = self.length.shape[0]
        flat = ended.reshape(-1)
        rank = jnp.cumsum(flat, dtype=jnp.int32) - 1
        total = jnp.sum(flat, dtype=jnp.int32)
        # Of more than there is room for, the last; the others are put nowhere.
        kept = flat & (rank >= total - window)
        where = jnp.where(kept, (self.number + rank) % window, window)
        costs = cost.reshape(-1, cost.shape[-1])
        number = self.number + total
        return EndedEpisodes(
            self.cost.at[where].set(costs, mode="drop"),
            self.length.at[where].set(length.reshape(-1).astype(self.length.dtype), mode="drop"),
            jnp.where(number >= window, window + number % window, number),
        )

    def means(self) -> tuple[Float[Array, " K"], Float[Array, ""], Bool[Array, ""]]:
        """(cost of an episode, its length, whether there is any)."""
        window = self.length.shape[0]
        there = (jnp.arange(window, dtype=jnp.int32) < jnp.minimum(self.number, window)).astype(
            self.length.dtype
        )
        count = jnp.maximum(jnp.sum(there), 1.0)
        return there @ self.cost / count, there @ self.length / count, self.number > 0

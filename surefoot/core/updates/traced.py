"""`KeepLastBatch`: an update that keeps its last batch, so that what it did can be inspected."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

from surefoot.core.data.segments import distribution
from surefoot.core.data.types import Batch, Params
from surefoot.core.updates.base import Update, UpdateInfo


class KeepLastBatchState(NamedTuple):
    """What is remembered from call to call."""

    inner: Any
    """The wrapped update's state."""
    params: Params
    """The parameters before the last update."""
    batch: Batch
    """What the last update learned from; before the first one, rows without weight."""


def blank_batch(policy: Params, obs: PyTree[Array]) -> Batch:
    """A batch of these observations, leaves [B, …], or [S, L, …] of segments for a policy with a
    memory, whose rows have no weight."""
    memory = policy.initial(jax.tree.leaves(obs)[0].shape[0])
    own = 1 if memory is None else 2
    leading = jax.tree.leaves(obs)[0].shape[:own]
    zeros = jnp.zeros(leading)
    starts = None if memory is None else jnp.zeros(leading, bool)
    nothing: Any = None
    batch = Batch(obs, zeros, nothing, zeros, zeros, jnp.zeros(()), starts=starts, memory=memory)
    old = distribution(policy, batch)
    action = jax.tree.map(jnp.zeros_like, old.sample(jax.random.key(0)))
    return batch._replace(action=action, old=old)


class KeepLastBatch(Update):
    """Keeps the last batch that an update was given, with the parameters that it began from: what
    an update did can be looked at afterwards."""

    update: Update
    blank: Batch
    """What is kept before the first one: a batch of the same shapes (`blank_batch`)."""

    def init(self, params: Params) -> KeepLastBatchState:
        return KeepLastBatchState(self.update.init(params), params, self.blank)

    def __call__(
        self, key: PRNGKeyArray, params: Params, state: KeepLastBatchState, batch: Batch
    ) -> tuple[Params, KeepLastBatchState, UpdateInfo]:
        new, inner, info = self.update(key, params, state.inner, batch)
        return new, KeepLastBatchState(inner, params, batch), info

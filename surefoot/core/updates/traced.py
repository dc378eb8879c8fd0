"""`KeepLastBatch`: an update that keeps its last batch, so that what it did can be inspected."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

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


class KeepLastBatch(Update):
    """Keeps the last batch of `rows` rows that an update was given, with the parameters that it
    began from: what an update did can be looked at afterwards."""

    update: Update
    obs_size: int = eqx.field(static=True, kw_only=True)
    rows: int = eqx.field(static=True, kw_only=True)

    def init(self, params: Params) -> KeepLastBatchState:
        obs = jnp.zeros((self.rows, self.obs_size))
        old = params(obs)
        zeros = jnp.zeros(self.rows)
        action = jnp.zeros_like(old.sample(jax.random.key(0)))
        batch = Batch(obs, action, old, zeros, zeros, jnp.zeros(()))
        return KeepLastBatchState(self.update.init(params), params, batch)

    def __call__(
        self, key: PRNGKeyArray, params: Params, state: KeepLastBatchState, batch: Batch
    ) -> tuple[Params, KeepLastBatchState, UpdateInfo]:
        new, inner, info = self.update(key, params, state.inner, batch)
        return new, KeepLastBatchState(inner, params, batch), info

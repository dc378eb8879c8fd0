"""`AveragePolicy`: an update that keeps an exponential average of the policy's parameters."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from surefoot.core.data.segments import distribution
from surefoot.core.data.types import Batch, Params, Scalar
from surefoot.core.updates.base import Update, UpdateInfo, unless_empty


class AveragePolicyState(NamedTuple):
    """What is remembered from call to call."""

    average: Params
    """θ̄, the policy with averaged parameters."""
    inner: Any
    """The wrapped update's state."""


class AveragePolicy(Update):
    """Keeps θ̄ ← `decay`·θ̄ + (1 − `decay`)·θ over the calls of an update, whose batch tells the
    distribution of the averaged policy as `batch.average` (Wang et al. 2016)."""

    update: Update
    decay: Scalar = eqx.field(converter=jnp.asarray, default=0.99)

    def init(self, params: Params) -> AveragePolicyState:
        return AveragePolicyState(params, self.update.init(params))

    def __call__(
        self, key: PRNGKeyArray, params: Params, state: AveragePolicyState, batch: Batch
    ) -> tuple[Params, AveragePolicyState, UpdateInfo]:
        batch = batch._replace(average=distribution(state.average, batch))
        params, inner, info = self.update(key, params, state.inner, batch)
        old, static = eqx.partition(state.average, eqx.is_inexact_array)
        new = eqx.filter(params, eqx.is_inexact_array)
        mixed = jax.tree.map(lambda a, b: self.decay * a + (1.0 - self.decay) * b, old, new)
        average = unless_empty(batch, eqx.combine(mixed, static), state.average)
        return params, AveragePolicyState(average, inner), info

"""Wrappers: updates around another update, with a memory of their own from batch to batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from surefoot.types import Batch, Params, Scalar
from surefoot.update import Update, UpdateInfo


class AdaptKLState(NamedTuple):
    """What is remembered from call to call."""

    value: Float[Array, ""]
    """The hyperparameter's value in the next call, in its own unit."""
    inner: Any
    """The wrapped update's state."""


class AdaptKL(Update):
    """Holds the KL of an update near `target` by one of its hyperparameters, the leaf `where`.

    After each call, a mean KL(old‖new) of 1.5·`target` or more multiplies the value by `factor`,
    one of `target`/1.5 or less divides it by `factor`, within [`low`, `high`]. PPO's penalty takes
    factor 2 (Schulman et al. 2017), a learning rate ½ (Duan et al. 2016). The value at the start is
    the update's own.
    """

    update: Update
    where: Callable[[Any], Scalar] = eqx.field(static=True)
    target: Scalar = eqx.field(converter=jnp.asarray, kw_only=True)
    factor: Scalar = eqx.field(converter=jnp.asarray, kw_only=True)
    low: Scalar = eqx.field(converter=jnp.asarray, kw_only=True)
    high: Scalar = eqx.field(converter=jnp.asarray, kw_only=True)

    def init(self, params: Params) -> AdaptKLState:
        return AdaptKLState(jnp.asarray(self.where(self.update)), self.update.init(params))

    def __call__(
        self, key: PRNGKeyArray, params: Params, state: AdaptKLState, batch: Batch
    ) -> tuple[Params, AdaptKLState, UpdateInfo]:
        update = eqx.tree_at(self.where, self.update, state.value)
        params, inner, info = update(key, params, state.inner, batch)
        far = info.kl_mean >= 1.5 * self.target
        near = info.kl_mean <= self.target / 1.5
        change = jnp.where(far, self.factor, jnp.where(near, 1.0 / self.factor, 1.0))
        value = jnp.clip(state.value * change, self.low, self.high)
        # A batch without weight tells nothing of the KL.
        value = jnp.where(jnp.sum(batch.weight) > 0, value, state.value)
        return params, AdaptKLState(value, inner), info


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
        batch = batch._replace(average=state.average(batch.obs))
        params, inner, info = self.update(key, params, state.inner, batch)
        old, static = eqx.partition(state.average, eqx.is_inexact_array)
        new = eqx.filter(params, eqx.is_inexact_array)
        mixed = jax.tree.map(lambda a, b: self.decay * a + (1.0 - self.decay) * b, old, new)
        return params, AveragePolicyState(eqx.combine(mixed, static), inner), info


class RememberState(NamedTuple):
    """What is remembered from call to call."""

    inner: Any
    """The wrapped update's state."""
    params: Params
    """The parameters before the last update."""
    batch: Batch
    """What the last update learned from; before the first one, rows without weight."""


class Remember(Update):
    """Keeps the last batch of `rows` rows that an update was given, with the parameters that it
    began from: what an update did can be looked at afterwards."""

    update: Update
    obs_size: int = eqx.field(static=True, kw_only=True)
    rows: int = eqx.field(static=True, kw_only=True)

    def init(self, params: Params) -> RememberState:
        obs = jnp.zeros((self.rows, self.obs_size))
        old = params(obs)
        zeros = jnp.zeros(self.rows)
        action = jnp.zeros_like(old.sample(jax.random.key(0)))
        batch = Batch(obs, action, old, zeros, zeros, jnp.zeros(()))
        return RememberState(self.update.init(params), params, batch)

    def __call__(
        self, key: PRNGKeyArray, params: Params, state: RememberState, batch: Batch
    ) -> tuple[Params, RememberState, UpdateInfo]:
        new, inner, info = self.update(key, params, state.inner, batch)
        return new, RememberState(inner, params, batch), info

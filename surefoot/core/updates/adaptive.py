"""Updates that adapt one of their hyperparameters to how far they step: `AdaptKL` holds the KL near
a target, `LimitTV` answers a total variation that is too large."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from surefoot.common.errors import UsageError
from surefoot.common.part import adaptable_numbers
from surefoot.core.data.segments import distribution
from surefoot.core.data.types import Batch, Params, Scalar
from surefoot.core.local_model import weighted_mean
from surefoot.core.objectives import ratio, ratio_before
from surefoot.core.updates.base import Update, UpdateInfo, unless_empty


class AdaptedState(NamedTuple):
    """What is remembered from call to call."""

    value: Float[Array, ""]
    """The hyperparameter's value in the next call, in its own unit."""
    inner: Any
    """The wrapped update's state."""


class AdaptKL(Update):
    """Holds the KL of an update near `target` by one of its hyperparameters, the `number` of that
    name, which exactly one of its parts says is adaptable (`Fixed`'s "rate", `KLPenalized`'s
    "beta").

    After each call, a mean KL(old‖new) of `band`·`target` or more multiplies the value by `factor`,
    one of `target`/`band` or less divides it by `factor`, within [`low`, `high`]. PPO's penalty
    takes factor 2 (Schulman et al. 2017), a learning rate ½ (Duan et al. 2016), or 1/1.5 with a
    band of 2 (Rudin et al. 2022). The value at the start is the update's own.
    """

    update: Update
    number: str = eqx.field(static=True)
    target: Scalar = eqx.field(converter=jnp.asarray, kw_only=True)
    factor: Scalar = eqx.field(converter=jnp.asarray, kw_only=True)
    low: Scalar = eqx.field(converter=jnp.asarray, kw_only=True)
    high: Scalar = eqx.field(converter=jnp.asarray, kw_only=True)
    band: float = eqx.field(static=True, default=1.5, kw_only=True)
    """How many times the target, or what part of it, a KL must be to change the value."""

    def __check_init__(self) -> None:
        _check_number(self)
        if not self.band > 1:
            raise UsageError(f"AdaptKL's band is {self.band!r}; accepted is a number > 1")

    def init(self, params: Params) -> AdaptedState:
        return AdaptedState(_value(self), self.update.init(params))

    def __call__(
        self, key: PRNGKeyArray, params: Params, state: AdaptedState, batch: Batch
    ) -> tuple[Params, AdaptedState, UpdateInfo]:
        params, inner, info = _adapted(self, state.value)(key, params, state.inner, batch)
        far = info.kl_mean >= self.band * self.target
        near = info.kl_mean <= self.target / self.band
        change = jnp.where(far, self.factor, jnp.where(near, 1.0 / self.factor, 1.0))
        value = jnp.clip(state.value * change, self.low, self.high)
        return params, AdaptedState(unless_empty(batch, value, state.value), inner), info


class LimitTV(Update):
    """Multiplies one of an update's hyperparameters, the adaptable `number` of that name, by
    `factor` after every call that went too far: whose total variation ½E|r − o| is above `limit`, r
    being the ratio after the call and o that before (Queeney et al. 2021 with a learning rate, a
    limit of ε/2 and a factor of 1/1.03). The value at the start is the update's own."""

    update: Update
    number: str = eqx.field(static=True)
    limit: Scalar = eqx.field(converter=jnp.asarray, kw_only=True)
    factor: Scalar = eqx.field(converter=jnp.asarray, default=0.97, kw_only=True)

    def __check_init__(self) -> None:
        _check_number(self)

    def init(self, params: Params) -> AdaptedState:
        return AdaptedState(_value(self), self.update.init(params))

    def __call__(
        self, key: PRNGKeyArray, params: Params, state: AdaptedState, batch: Batch
    ) -> tuple[Params, AdaptedState, UpdateInfo]:
        params, inner, info = _adapted(self, state.value)(key, params, state.inner, batch)
        moved = jnp.abs(ratio(distribution(params, batch), batch) - ratio_before(batch))
        far = 0.5 * weighted_mean(moved, batch.weight) > self.limit
        value = jnp.where(far, state.value * self.factor, state.value)
        return params, AdaptedState(unless_empty(batch, value, state.value), inner), info


def _check_number(adapting: Any) -> None:
    found = len(list(adaptable_numbers(adapting.update, adapting.number)))
    if found != 1:
        raise UsageError(
            f"{type(adapting).__name__}'s number is {adapting.number!r}, of which its update has "
            f"{found} that can be adapted; accepted is the name of one"
        )


def _where(adapting: Any, update: Update) -> Any:
    (path,) = adaptable_numbers(adapting.update, adapting.number)
    return functools.reduce(getattr, path, update)


def _value(adapting: Any) -> Array:
    """The hyperparameter as it was given."""
    return jnp.asarray(_where(adapting, adapting.update))


def _adapted(adapting: Any, value: Float[Array, ""]) -> Update:
    """The update with this value."""
    update: Update = eqx.tree_at(functools.partial(_where, adapting), adapting.update, value)
    return update

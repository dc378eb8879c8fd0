"""`AdaptKL`: an update that adapts one of its hyperparameters to hold its KL near a target."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from surefoot.common.errors import UsageError
from surefoot.common.part import adaptable_numbers
from surefoot.core.data.types import Batch, Params, Scalar
from surefoot.core.updates.base import Update, UpdateInfo, unless_empty


class AdaptKLState(NamedTuple):
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
        found = len(list(adaptable_numbers(self.update, self.number)))
        if found != 1:
            raise UsageError(
                f"AdaptKL's number is {self.number!r}, of which its update has {found} that can be "
                "adapted; accepted is the name of one"
            )
        if not self.band > 1:
            raise UsageError(f"AdaptKL's band is {self.band!r}; accepted is a number > 1")

    def _where(self, update: Update) -> Any:
        (path,) = adaptable_numbers(self.update, self.number)
        return functools.reduce(getattr, path, update)

    def init(self, params: Params) -> AdaptKLState:
        return AdaptKLState(jnp.asarray(self._where(self.update)), self.update.init(params))

    def __call__(
        self, key: PRNGKeyArray, params: Params, state: AdaptKLState, batch: Batch
    ) -> tuple[Params, AdaptKLState, UpdateInfo]:
        update = eqx.tree_at(self._where, self.update, state.value)
        params, inner, info = update(key, params, state.inner, batch)
        far = info.kl_mean >= self.band * self.target
        near = info.kl_mean <= self.target / self.band
        change = jnp.where(far, self.factor, jnp.where(near, 1.0 / self.factor, 1.0))
        value = jnp.clip(state.value * change, self.low, self.high)
        return params, AdaptKLState(unless_empty(batch, value, state.value), inner), info

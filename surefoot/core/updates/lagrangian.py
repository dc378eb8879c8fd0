"""`Lagrangian`: costs that weigh more the longer they are above their limits."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from surefoot.core.data.types import Batch, CostRows, Params, Scalar
from surefoot.core.objectives import costs_of
from surefoot.core.updates.base import Update, UpdateInfo, unless_empty


class LagrangianState(NamedTuple):
    """What is remembered from call to call."""

    multiplier: Float[Array, " K"]
    """λ of each limit."""
    rising: Float[Array, " K"]
    """Adam's mean of the gaps."""
    squares: Float[Array, " K"]
    """Adam's mean of their squares."""
    calls: Int[Array, ""]
    inner: Any
    """The wrapped update's state."""


class Lagrangian(Update):
    """An update whose advantages are a trade of the objective for the costs,

        (Â − Σ λ_k Â_Ck)/(1 + Σ λ_k),   λ_k ← max(0, λ_k + Adam(`rate`)·(J_Ck − d_k)) before it,

    so that a cost above its limit weighs more with every iteration that it stays there (Ray et al.
    2019, "Benchmarking safe exploration in deep reinforcement learning"; the numbers are those of
    Ji et al. 2023, OmniSafe). Needs `batch.costs`, of `limits` costs."""

    update: Update
    limits: int = eqx.field(static=True, default=1)
    rate: Scalar = eqx.field(converter=jnp.asarray, default=0.035, kw_only=True)
    initial: Scalar = eqx.field(converter=jnp.asarray, default=0.001, kw_only=True)

    def init(self, params: Params) -> LagrangianState:
        multiplier = jnp.full((self.limits,), self.initial)
        zeros = jnp.zeros_like(multiplier)
        calls = jnp.zeros((), jnp.int32)
        return LagrangianState(multiplier, zeros, zeros, calls, self.update.init(params))

    def __call__(
        self, key: PRNGKeyArray, params: Params, state: LagrangianState, batch: Batch
    ) -> tuple[Params, LagrangianState, UpdateInfo]:
        costs = costs_of(batch)
        gap = jnp.stack(costs.gap)
        calls = state.calls + 1
        rising = 0.9 * state.rising + 0.1 * gap
        squares = 0.999 * state.squares + 0.001 * gap**2
        number = calls.astype(gap.dtype)
        mean, square = rising / (1 - 0.9**number), squares / (1 - 0.999**number)
        ahead = state.multiplier + self.rate * mean / (jnp.sqrt(square) + 1e-8)
        multiplier = jnp.maximum(ahead, 0.0)
        traded = batch.advantage - costs.advantage @ multiplier
        given = batch._replace(advantage=traded / (1.0 + jnp.sum(multiplier)))
        params, inner, info = self.update(key, params, state.inner, given)
        weight = {"cost_multiplier": multiplier[jnp.argmax(gap)]}
        info = info._replace(diagnostics={**info.diagnostics, **weight})
        fresh = LagrangianState(multiplier, rising, squares, calls, inner)
        return params, unless_empty(batch, fresh, state._replace(inner=inner)), info


class WithCosts(Update):
    """An update that is told the costs of its batch."""

    update: Update
    costs: CostRows

    def init(self, params: Params) -> Any:
        return self.update.init(params)

    def __call__(
        self, key: PRNGKeyArray, params: Params, state: Any, batch: Batch
    ) -> tuple[Params, Any, UpdateInfo]:
        return self.update(key, params, state, batch._replace(costs=self.costs))

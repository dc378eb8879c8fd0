"""`LocalModel`: one objective at one θ on one batch, as far as a step needs to know it.

A geometry and a step size see the policy only through this: the objective's value and gradient,
products with the Fisher matrix, and the objective and KL(old‖new) at other parameters. All means
are over the batch's rows with their weights.

The Fisher product uses F = E[Jᵀ M J] with the network's Jacobian J at θ and the distribution's own
metric M: one forward-mode and one reverse-mode product through one linearization, positive
semi-definite by construction, and equal to ∇²_θ' KL(π_θ‖π_θ') at θ' = θ.

A `LocalModel` lives while one update is traced; it is not a pytree and is never stored. What is not
asked for is not computed: the compiler drops it.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from surefoot.core.data.segments import distribution as distribution_of
from surefoot.core.data.types import Batch, Params
from surefoot.core.distributions.base import Distribution, KLDirection, kl_between
from surefoot.core.objectives import Objective


def weighted_mean(x: Float[Array, "*B"], weight: Float[Array, "*B"]) -> Float[Array, ""]:
    """Σ w x / Σ w, and 0 where no row has weight."""
    return jnp.sum(jnp.where(weight > 0, weight * x, 0.0)) / jnp.maximum(jnp.sum(weight), 1e-30)


def dot(a: Params, b: Params) -> Float[Array, ""]:
    """Inner product of two directions."""
    return optax.tree.vdot(a, b)


def move(params: Params, direction: Params, scale: Float[Array, ""] | float) -> Params:
    """Params + scale·direction, bit for bit `params` where the scale is zero."""
    theta, static = eqx.partition(params, eqx.is_inexact_array)

    def moved(p: Array, d: Array) -> Array:
        # Not a sum alone: 0·NaN would be NaN.
        return jnp.where(scale == 0, p, p + jnp.asarray(scale, d.dtype) * d)

    return eqx.combine(jax.tree.map(moved, theta, direction), static)


class ObjectiveAndKL(NamedTuple):
    """The objective and the distance from the old distribution at some parameters."""

    objective: Float[Array, ""]
    """Batch mean of the objective, in its own unit."""
    kl: Float[Array, ""]
    """Batch mean of the KL in the direction that was asked for, nats."""


class LocalModel:
    """`objective` at `params` on `batch`."""

    value: Float[Array, ""]
    """Batch mean of the objective at θ."""
    grad: Params
    """Its gradient, in the structure of θ with `None` for leaves that are no parameters."""
    share: Float[Array, "*B"]
    """Each row's share of the batch's weight; they sum to 1, or are all 0."""

    def __init__(self, objective: Objective, params: Params, batch: Batch) -> None:
        self.params = params
        self.batch = batch
        self._objective = objective
        theta, static = eqx.partition(params, eqx.is_inexact_array)

        def distribution(theta: Params) -> Distribution:
            return distribution_of(eqx.combine(theta, static), batch)

        def value(theta: Params) -> Float[Array, ""]:
            return weighted_mean(objective(distribution(theta), batch), batch.weight)

        self.value, self.grad = jax.value_and_grad(value)(theta)
        self._dist, self._jvp = jax.linearize(distribution, theta)
        self._vjp = jax.linear_transpose(self._jvp, theta)
        self.share = batch.weight / jnp.maximum(jnp.sum(batch.weight), 1e-30)

    def fvp(self, v: Params) -> Params:
        """F(θ)·v, without damping, in the structure of `grad`."""
        return self._vjp(self.weighted(self._dist.metric(self._jvp(v))))[0]

    def weighted(self, tangent: Distribution) -> Distribution:
        """Each row's part of a mean over the batch: its leaves times the row's share."""
        share = self.share
        return jax.tree.map(lambda t: t * share[..., None], tangent)

    def curvature(self, v: Params) -> Float[Array, ""]:
        """vᵀF(θ)v, by one forward-mode product alone."""
        tangent = self._jvp(v)
        return weighted_mean(tangent.inner(self._dist.metric(tangent)), self.batch.weight)

    def evaluate(self, params: Params, direction: KLDirection = "old_new") -> ObjectiveAndKL:
        """The objective and the mean KL, KL(old‖new) or KL(new‖old), at other parameters, by one
        forward pass."""
        dist = distribution_of(params, self.batch)
        value = weighted_mean(self._objective(dist, self.batch), self.batch.weight)
        kl = kl_between(self.batch.old, dist, direction)
        return ObjectiveAndKL(value, weighted_mean(kl, self.batch.weight))

"""The beta distribution, for actions between bounds (Chou, Maturana & Scherer 2017, "Improving
stochastic policy gradients in continuous control with deep reinforcement learning using the beta
distribution").

It has no mass beyond the bounds, where a Gaussian's is clipped. x ~ Beta(α, β) lies in (0, 1), the
raw action is 2x − 1 in (−1, 1), and densities are with respect to the raw action.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln
from jaxtyping import Array, Bool, Float, PRNGKeyArray, UInt32

from surefoot.core.distributions.base import Distribution, no_mask
from surefoot.core.distributions.log_gamma import log_gamma_divergence, trigamma_excess

#: Smaller parameters count as this: rows that are not counted hold zeros.
SMALLEST = 1e-4


class Beta(Distribution):
    """Independent beta distributions, stretched to (−1, 1). With α, β ≥ 1 each has one mode. For
    (α, β) of one dimension M = [[ψ′(α) − ψ′(s), −ψ′(s)], [−ψ′(s), ψ′(β) − ψ′(s)]], s = α + β."""

    alpha: Float[Array, "*batch D"]
    beta: Float[Array, "*batch D"]

    def noise(self, key: PRNGKeyArray) -> UInt32[Array, "*batch 2"]:
        # How many numbers rejection takes is not known ahead: a key a batch entry, as integers.
        return jax.random.bits(key, (*self.alpha.shape[:-1], 2), jnp.uint32)

    def draw(self, noise: UInt32[Array, "*batch 2"]) -> Float[Array, "*batch D"]:
        size = self.alpha.shape[-1]

        def one(data: Array, alpha: Array, beta: Array) -> Array:
            key = jax.random.wrap_key_data(data, impl="threefry2x32")
            return jax.random.beta(key, alpha, beta, (size,), alpha.dtype)

        alpha, beta = (x.reshape(-1, size) for x in _positive(self))
        x = jax.vmap(one)(noise.reshape(-1, 2), alpha, beta)
        return _inside(2.0 * x.reshape(self.alpha.shape) - 1.0)

    def mode(self) -> Float[Array, "*batch D"]:
        alpha, beta = _positive(self)
        excess = alpha + beta - 2.0
        # Uniform where α = β = 1: the middle, then.
        return _inside(
            jnp.where(excess > 0, (alpha - beta) / jnp.where(excess > 0, excess, 1.0), 0.0)
        )

    def log_prob(self, action: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        alpha, beta = _positive(self)
        action = _inside(action)
        # log((1 ± a) / 2), not log1p(±a): as exact, since 1 ± a is exact where it is small, and
        # jaxlib 0.12's CPU compiler takes the second log1p of a sum over rows for the first.
        low, high = jnp.log((1.0 + action) / 2.0), jnp.log((1.0 - action) / 2.0)
        powers = (alpha - 1.0) * low + (beta - 1.0) * high
        # The density of x halves as its range doubles.
        return jnp.sum(powers - _log_beta(alpha, beta) - math.log(2.0), axis=-1)

    def entropy(self) -> Float[Array, "*batch"]:
        alpha, beta = _positive(self)
        total = alpha + beta
        weighted = (total - 2.0) * digamma(total) - (alpha - 1.0) * digamma(alpha)
        weighted -= (beta - 1.0) * digamma(beta)
        return jnp.sum(_log_beta(alpha, beta) + weighted + math.log(2.0), axis=-1)

    def kl(self, other: Beta) -> Float[Array, "*batch"]:
        # ln B(α′, β′) − ln B(α, β) + (α − α′) ψ(α) + (β − β′) ψ(β) − (s − s′) ψ(s), put together so
        # that it keeps the small differences of a small step.
        (a, b), (c, d) = _positive(self), _positive(other)
        parts = log_gamma_divergence(c, a) + log_gamma_divergence(d, b)
        return jnp.sum(parts - log_gamma_divergence(c + d, a + b), axis=-1)

    def diagnostics(self) -> dict[str, Float[Array, "*batch D"]]:
        alpha, beta = _positive(self)
        total = alpha + beta
        return {"std": 2.0 * jnp.sqrt(alpha / total * (beta / total) / (total + 1.0))}

    def metric(self, tangent: Beta) -> Beta:
        alpha, beta = _positive(self)
        total = alpha + beta
        # The parts 1/α, 1/β and 1/s of the three ψ′ cancel for tangents along (α, β).
        across = (beta * tangent.alpha - alpha * tangent.beta) / total
        shared = trigamma_excess(total) * (tangent.alpha + tangent.beta)
        return Beta(
            across / alpha + trigamma_excess(alpha) * tangent.alpha - shared,
            -across / beta + trigamma_excess(beta) * tangent.beta - shared,
        )

    def metric_inverse(self, cotangent: Beta) -> Beta:
        alpha, beta = _positive(self)
        total = alpha + beta
        e, f, g = trigamma_excess(alpha), trigamma_excess(beta), trigamma_excess(total)
        # The determinant, without 1/(αβ) − (1/α + 1/β)/s = 0.
        leading = e * alpha / (beta * total) + f * beta / (alpha * total)
        determinant = leading - g * total / (alpha * beta) + e * f - g * (e + f)
        first, second = beta / (alpha * total) + e - g, alpha / (beta * total) + f - g
        shared = 1.0 / total + g
        return Beta(
            (second * cotangent.alpha + shared * cotangent.beta) / determinant,
            (shared * cotangent.alpha + first * cotangent.beta) / determinant,
        )

    @property
    def mask_size(self) -> int:
        return 0

    def masked(self, mask: Bool[Array, "*batch M"]) -> Distribution:
        raise no_mask(self)


def _positive(dist: Beta) -> tuple[Float[Array, "*batch D"], Float[Array, "*batch D"]]:
    """(α, β), `SMALLEST` or more."""
    return jnp.maximum(dist.alpha, SMALLEST), jnp.maximum(dist.beta, SMALLEST)


def _inside(action: Float[Array, "*batch D"]) -> Float[Array, "*batch D"]:
    """The action off the ends ±1, where the density may be 0."""
    end = 1.0 - float(jnp.finfo(action.dtype).eps)
    return jnp.clip(action, -end, end)


def _log_beta(alpha: Float[Array, "*batch D"], beta: Float[Array, "*batch D"]) -> Array:
    """The logarithm of B(α, β)."""
    return gammaln(alpha) + gammaln(beta) - gammaln(alpha + beta)

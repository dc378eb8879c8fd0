"""The diagonal Gaussian, for continuous actions."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from surefoot.core.distributions.base import Distribution, no_mask


class DiagGaussian(Distribution):
    """Independent Gaussians. M = 1/σ² for the mean and 2 for log σ, with no cross term."""

    mean: Float[Array, "*batch D"]
    log_std: Float[Array, "*batch D"]

    def noise(self, key: PRNGKeyArray) -> Float[Array, "*batch D"]:
        return jax.random.normal(key, self.mean.shape, self.mean.dtype)

    def draw(self, noise: Float[Array, "*batch D"]) -> Float[Array, "*batch D"]:
        return self.mean + jnp.exp(self.log_std) * noise

    def mode(self) -> Float[Array, "*batch D"]:
        return self.mean

    def log_prob(self, action: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        z = (action - self.mean) * jnp.exp(-self.log_std)
        return jnp.sum(-0.5 * z**2 - self.log_std - 0.5 * math.log(2 * math.pi), axis=-1)

    def entropy(self) -> Float[Array, "*batch"]:
        return jnp.sum(self.log_std + 0.5 * math.log(2 * math.pi * math.e), axis=-1)

    def kl(self, other: DiagGaussian) -> Float[Array, "*batch"]:
        log_ratio = self.log_std - other.log_std
        distance = (self.mean - other.mean) * jnp.exp(-other.log_std)
        # expm1 keeps the small differences of a small step: (σ²/σ'² − 1)/2 − log(σ/σ').
        per_dimension = 0.5 * jnp.expm1(2.0 * log_ratio) - log_ratio + 0.5 * distance**2
        return jnp.sum(per_dimension, axis=-1)

    def diagnostics(self) -> dict[str, Float[Array, "*batch D"]]:
        return {"std": jnp.exp(self.log_std)}

    def metric(self, tangent: DiagGaussian) -> DiagGaussian:
        return DiagGaussian(tangent.mean * jnp.exp(-2.0 * self.log_std), 2.0 * tangent.log_std)

    def metric_inverse(self, cotangent: DiagGaussian) -> DiagGaussian:
        return DiagGaussian(cotangent.mean * jnp.exp(2.0 * self.log_std), 0.5 * cotangent.log_std)

    @property
    def mask_size(self) -> int:
        return 0

    def masked(self, mask: Bool[Array, "*batch M"]) -> Distribution:
        raise no_mask(self)

"""The policy gradient, projected row by row so that it stays within a trust region."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from surefoot.common.errors import UsageError
from surefoot.core.data.types import Batch, Scalar
from surefoot.core.distributions import Distribution
from surefoot.core.objectives.base import Objective


class TrustRegionGradient(Objective):
    """z·φ_θ(s) with φ the distribution's own parameters and z the policy gradient in them, kept
    within a trust region around the averaged policy (Wang et al. 2016, "Sample efficient
    actor-critic with experience replay"): with g = ∇_φ log π(a|s)·Â, k = ∇_φ KL(average‖π), M the
    distribution's Fisher metric and δ = `max_kl`,

        z = g − max(0, (kᵀM⁻¹g − δ)/(kᵀM⁻¹k))·k

    is the vector closest to g, by (g − z)ᵀM⁻¹(g − z), that has kᵀM⁻¹z ≤ δ: the rate at which
    KL(average‖π) rises along the natural step M⁻¹z. Measured by M, the step of the policy and the
    meaning of δ do not depend on how the distribution is written down. For discrete actions
    kᵀM⁻¹g = Â·(1 − average(a|s)/π(a|s)); for a Gaussian's mean it is Â·u·v with
    u = (a − mean)/σ and v = (mean − average's mean)/σ.

    The source has M = I, so that its δ of 1 belongs to its φ: probabilities, or mean and fixed σ.
    With M = I and logits, in which ‖k‖ ≤ √2, a δ of 1 binds hardly ever.

    Only the gradient is meant: z belongs to where it is taken, so that values at two parameters are
    of two objectives, and no line search can compare them. Needs `batch.average`: wrap the update
    in `AveragePolicy`.
    """

    max_kl: Scalar = eqx.field(converter=jnp.asarray)

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, "*B"]:
        z = self.projected(dist, batch).z
        return dist.inner(jax.lax.stop_gradient(z))

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, "*B"]]:
        active = self.projected(dist, batch).excess > 0
        return {"projected_fraction": active.astype(batch.advantage.dtype)}

    def projected(self, dist: Distribution, batch: Batch) -> Projection:
        """g, k and z of every row, in the structure of a distribution."""
        if batch.average is None:
            raise UsageError(
                "TrustRegionGradient needs batch.average; accepted is an update within "
                "surefoot.AveragePolicy"
            )
        average = batch.average

        def score(phi: Distribution) -> Float[Array, ""]:
            return jnp.sum(phi.log_prob(batch.action) * batch.advantage)

        phi = jax.lax.stop_gradient(dist)
        g = jax.grad(score)(phi)
        k = jax.grad(lambda phi: jnp.sum(average.kl(phi)))(phi)
        natural = phi.metric_inverse(k)
        excess = jnp.maximum(natural.inner(g) - self.max_kl, 0.0)
        # k = 0 means that kᵀM⁻¹g = 0 ≤ δ: nothing to take away.
        square = natural.inner(k)
        factor = excess / jnp.where(square > 0, square, 1.0)
        z = jax.tree.map(lambda g, k: g - factor[..., None] * k, g, k)
        return Projection(g, k, z, excess)


class Projection(NamedTuple):
    """The gradient of `TrustRegionGradient` in the distribution's parameters, with what made it."""

    g: Distribution
    """∇_φ log π(a|s)·Â."""
    k: Distribution
    """∇_φ KL(average‖π)."""
    z: Distribution
    """g with just so much of k taken away that kᵀM⁻¹z ≤ δ."""
    excess: Float[Array, "*B"]
    """max(0, kᵀM⁻¹g − δ), nats."""

"""The tanh-squashed Gaussian, for actions between bounds (Haarnoja et al. 2018, "Soft
actor-critic").

The action is tanh(u) with u Gaussian, but the raw action is u: rounded to the end of its range,
tanh(u) would not tell u. The squashing is the action map's. Densities are with respect to u, which
changes no ratio, KL or Fisher product, since the Jacobian of tanh cancels in all of them. The
entropy, which it does change, is that of tanh(u).
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from surefoot.core.distributions.base import Distribution, no_mask
from surefoot.core.distributions.gaussian import DiagGaussian

#: Gauss–Hermite nodes and weights for the standard normal density.
_NORMAL, _NORMAL_WEIGHT = np.polynomial.hermite_e.hermegauss(32)
_NORMAL_WEIGHT = _NORMAL_WEIGHT / _NORMAL_WEIGHT.sum()
#: Those of the trapezoidal rule for the logistic density sech²(l)/2, exponentially accurate, too.
_LOGISTIC = np.linspace(-9.5, 9.5, 44)
_LOGISTIC_WEIGHT = np.cosh(_LOGISTIC) ** -2 / np.sum(np.cosh(_LOGISTIC) ** -2)


class TanhGaussian(Distribution):
    """Independent Gaussians of u = artanh(action): raw actions, densities and metric are of u, the
    entropy is the action's. `mode` is the mean of u, and tanh of it what a deterministic policy
    does: the action's median, and not where its density is highest."""

    gaussian: DiagGaussian

    def noise(self, key: PRNGKeyArray) -> Float[Array, "*batch D"]:
        return self.gaussian.noise(key)

    def draw(self, noise: Float[Array, "*batch D"]) -> Float[Array, "*batch D"]:
        return self.gaussian.draw(noise)

    def mode(self) -> Float[Array, "*batch D"]:
        return self.gaussian.mode()

    def log_prob(self, action: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        return self.gaussian.log_prob(action)

    def entropy(self) -> Float[Array, "*batch"]:
        # H[tanh u] = H[u] + E[ln(1 − tanh² u)], and 1 − tanh² = 1/cosh².
        log_cosh = mean_log_cosh(self.gaussian.mean, jnp.exp(self.gaussian.log_std))
        return self.gaussian.entropy() - 2.0 * jnp.sum(log_cosh, axis=-1)

    def kl(self, other: TanhGaussian) -> Float[Array, "*batch"]:
        return self.gaussian.kl(other.gaussian)

    def diagnostics(self) -> dict[str, Float[Array, "*batch D"]]:
        return self.gaussian.diagnostics()

    def metric(self, tangent: TanhGaussian) -> TanhGaussian:
        return TanhGaussian(self.gaussian.metric(tangent.gaussian))

    def metric_inverse(self, cotangent: TanhGaussian) -> TanhGaussian:
        return TanhGaussian(self.gaussian.metric_inverse(cotangent.gaussian))

    @property
    def mask_size(self) -> int:
        return 0

    def masked(self, mask: Bool[Array, "*batch M"]) -> Distribution:
        raise no_mask(self)


def mean_log_cosh(
    mean: Float[Array, "*batch D"], std: Float[Array, "*batch D"]
) -> Float[Array, "*batch D"]:
    """E[ln cosh u] for u ~ N(mean, std²), to 10⁻⁷ in double precision, whatever the two.

    ln cosh u + ln 2 = E|u + l| for l of the density sech²(l)/2. Of the two expectations one has a
    closed form: a narrow Gaussian is integrated by Gauss–Hermite quadrature of ln cosh, and before
    a wide one, where that would not resolve the kink of ln cosh, it is l that is integrated, with
    the mean of a folded Gaussian."""
    narrow = jnp.minimum(std, 1.0)[..., None]
    u = mean[..., None] + narrow * _like(_NORMAL, mean)
    over_u = jnp.sum(jnp.logaddexp(u, -u) * _like(_NORMAL_WEIGHT, mean), axis=-1)
    wide = jnp.maximum(std, 1.0)[..., None]
    folded = _mean_absolute(mean[..., None] + _like(_LOGISTIC, mean), wide)
    over_l = jnp.sum(folded * _like(_LOGISTIC_WEIGHT, mean), axis=-1)
    return jnp.where(std < 1.0, over_u, over_l) - math.log(2.0)


def _mean_absolute(
    mean: Float[Array, "*batch n"], std: Float[Array, "*batch 1"]
) -> Float[Array, "*batch n"]:
    """E|x| for x ~ N(mean, std²)."""
    z = mean / std
    density = jnp.exp(-0.5 * z**2) * math.sqrt(2.0 / math.pi)
    return mean * jax.scipy.special.erf(z * math.sqrt(0.5)) + std * density


def _like(numbers: np.ndarray, x: Float[Array, "*batch D"]) -> Float[Array, "*ones n"]:
    """The numbers along a dimension behind those of x, in its type."""
    return jnp.asarray(numbers, x.dtype).reshape(*(1,) * x.ndim, -1)

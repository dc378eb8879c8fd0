"""The policy gradient's objectives: the score, the surrogate, the clipped and the penalized one.

At θ = θ_old their gradients are the same policy gradient; they differ further away.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from surefoot.core.data.types import Batch, Scalar
from surefoot.core.distributions import Distribution
from surefoot.core.objectives.base import Objective, ratio, ratio_before


class Score(Objective):
    """log π_θ(a|s)·Â: its gradient at θ_old is the policy gradient; its value measures no return
    (Williams 1992)."""

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, "*B"]:
        return dist.log_prob(batch.action) * batch.advantage

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, "*B"]]:
        return {}


class Surrogate(Objective):
    """r_θ·Â: the improvement over π_old that importance sampling predicts (Kakade & Langford 2002;
    Schulman et al. 2015); of the actions of earlier policies, too (Queeney et al. 2021)."""

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, "*B"]:
        return ratio(dist, batch) * batch.advantage

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, "*B"]]:
        return {}


class Clipped(Objective):
    """min(r_θ Â, clip(r_θ, o − ε, o + ε) Â), ε = `clip`: a pessimistic surrogate that gains nothing
    from leaving the interval around o, its ratio before the update (Schulman et al. 2017). o is 1
    but for the actions of earlier policies (Queeney et al. 2021); around 1, those whose o lies
    outside already would have no gradient."""

    clip: Scalar = eqx.field(converter=jnp.asarray, default=0.2)

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, "*B"]:
        r, before = ratio(dist, batch), ratio_before(batch)
        clipped = jnp.clip(r, before - self.clip, before + self.clip)
        return jnp.minimum(r * batch.advantage, clipped * batch.advantage)

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, "*B"]]:
        outside = jnp.abs(ratio(dist, batch) - ratio_before(batch)) > self.clip
        return {"clip_fraction": outside.astype(batch.advantage.dtype)}


class RatioPenalized(Objective):
    """r_θ Â − |Â|/(2ε)·(r_θ − o)², ε = `clip`: a surrogate whose optimum is the edge of PPO's
    interval, r = o + ε for Â > 0 and o − ε for Â < 0; o as for `Clipped`. Where that has no
    gradient, beyond the edge, this one points back to it (Xie et al. 2025, "Simple Policy
    Optimization"). With o = 1 the mean of (r − 1)² is near 2 KL: it holds a policy about as
    `KLPenalized` with β = E|Â|/ε does."""

    clip: Scalar = eqx.field(converter=jnp.asarray, default=0.2)

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, "*B"]:
        r, advantage = ratio(dist, batch), batch.advantage
        moved = r - ratio_before(batch)
        return r * advantage - jnp.abs(advantage) / (2.0 * self.clip) * moved**2

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, "*B"]]:
        outside = jnp.abs(ratio(dist, batch) - ratio_before(batch)) > self.clip
        return {"clip_fraction": outside.astype(batch.advantage.dtype)}

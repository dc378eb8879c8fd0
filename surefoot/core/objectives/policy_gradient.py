"""The policy gradient's objectives: the score, the surrogate, the clipped and the penalized one.

At θ = θ_old their gradients are the same policy gradient; they differ further away.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from surefoot.core.data.types import Batch, Scalar
from surefoot.core.distributions import Distribution
from surefoot.core.objectives.base import Objective, ratio


class Score(Objective):
    """log π_θ(a|s)·Â: its gradient at θ_old is the policy gradient; its value measures no return
    (Williams 1992)."""

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, "*B"]:
        return dist.log_prob(batch.action) * batch.advantage

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, "*B"]]:
        return {}


class Surrogate(Objective):
    """r_θ·Â: the improvement over π_old that importance sampling predicts (Kakade & Langford 2002;
    Schulman et al. 2015)."""

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, "*B"]:
        return ratio(dist, batch) * batch.advantage

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, "*B"]]:
        return {}


class Clipped(Objective):
    """min(r_θ Â, clip(r_θ, 1 − ε, 1 + ε) Â), ε = `clip`: a pessimistic surrogate that gains nothing
    from leaving the interval (Schulman et al. 2017)."""

    clip: Scalar = eqx.field(converter=jnp.asarray, default=0.2)

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, "*B"]:
        r = ratio(dist, batch)
        clipped = jnp.clip(r, 1.0 - self.clip, 1.0 + self.clip)
        return jnp.minimum(r * batch.advantage, clipped * batch.advantage)

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, "*B"]]:
        outside = jnp.abs(ratio(dist, batch) - 1.0) > self.clip
        return {"clip_fraction": outside.astype(batch.advantage.dtype)}


class RatioPenalized(Objective):
    """r_θ Â − |Â|/(2ε)·(r_θ − 1)², ε = `clip`: a surrogate whose optimum is the edge of PPO's
    interval, r = 1 + ε for Â > 0 and 1 − ε for Â < 0. Where `Clipped` has no gradient, beyond that
    edge, this one points back to it (Xie et al. 2025, "Simple Policy Optimization"). The mean of
    (r − 1)² is near 2 KL: it holds a policy about as `KLPenalized` with β = E|Â|/ε does."""

    clip: Scalar = eqx.field(converter=jnp.asarray, default=0.2)

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, "*B"]:
        r, advantage = ratio(dist, batch), batch.advantage
        return r * advantage - jnp.abs(advantage) / (2.0 * self.clip) * (r - 1.0) ** 2

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, "*B"]]:
        outside = jnp.abs(ratio(dist, batch) - 1.0) > self.clip
        return {"clip_fraction": outside.astype(batch.advantage.dtype)}

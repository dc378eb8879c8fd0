"""What to improve.

An objective maps the current distributions and a batch to one value a row, which is maximized on
average. It sees no parameters and no network. At θ = θ_old the gradients of Score, Surrogate and
Clipped are the same policy gradient; they differ in what happens further away.

Wherever an objective is expected, any callable (distribution, batch) -> [B] will do; a subclass of
`Objective` can also say which diagnostics belong to it.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from surefoot.distributions import Distribution
from surefoot.errors import UsageError
from surefoot.types import Batch, Scalar


class Objective(eqx.Module):
    """One value a row, to be maximized."""

    @abc.abstractmethod
    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, " B"]:
        """The per-sample value of the distributions `dist`, whose leaves are [B, …]."""

    @abc.abstractmethod
    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, " B"]]:
        """Named per-sample quantities worth reporting as batch means, once an update."""


class PerSample(Objective):
    """A plain function as an objective, without diagnostics."""

    function: Callable[[Distribution, Batch], Array] = eqx.field(static=True)

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, " B"]:
        return self.function(dist, batch)

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, " B"]]:
        return {}


def as_objective(objective: Any) -> Objective:
    """The objective itself, or a plain function made one."""
    return objective if isinstance(objective, Objective) else PerSample(objective)


def ratio(dist: Distribution, batch: Batch) -> Float[Array, " B"]:
    """r_θ = π_θ(a|s)/π_old(a|s)."""
    return jnp.exp(dist.log_prob(batch.action) - batch.old.log_prob(batch.action))


class Score(Objective):
    """log π_θ(a|s)·Â: its gradient at θ_old is the policy gradient; its value measures no return
    (Williams 1992)."""

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, " B"]:
        return dist.log_prob(batch.action) * batch.advantage

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, " B"]]:
        return {}


class Surrogate(Objective):
    """r_θ·Â: the improvement over π_old that importance sampling predicts (Kakade & Langford 2002;
    Schulman et al. 2015)."""

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, " B"]:
        return ratio(dist, batch) * batch.advantage

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, " B"]]:
        return {}


class Clipped(Objective):
    """min(r_θ Â, clip(r_θ, 1 − ε, 1 + ε) Â), ε = `clip`: a pessimistic surrogate that gains nothing
    from leaving the interval (Schulman et al. 2017)."""

    clip: Scalar = eqx.field(converter=jnp.asarray, default=0.2)

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, " B"]:
        r = ratio(dist, batch)
        clipped = jnp.clip(r, 1.0 - self.clip, 1.0 + self.clip)
        return jnp.minimum(r * batch.advantage, clipped * batch.advantage)

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, " B"]]:
        outside = jnp.abs(ratio(dist, batch) - 1.0) > self.clip
        return {"clip_fraction": outside.astype(batch.advantage.dtype)}


class Likelihood(Objective):
    """log π_θ(a|s): maximum likelihood of the batch's actions. Fits a critic too, whose batch has
    the value targets as actions."""

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, " B"]:
        return dist.log_prob(batch.action)

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, " B"]]:
        return {}


class KLPenalized(Objective):
    """objective − `beta`·KL(π_old‖π_θ)[s], around any other objective (Schulman et al. 2017 with
    `Surrogate`). `AdaptKL` adapts β, in units of the objective per nat."""

    objective: Objective = eqx.field(converter=as_objective)
    beta: Scalar = eqx.field(converter=jnp.asarray)

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, " B"]:
        return self.objective(dist, batch) - self.beta * batch.old.kl(dist)

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, " B"]]:
        inner = self.objective.diagnostics(dist, batch)
        return {**inner, "kl_penalty": jnp.broadcast_to(self.beta, batch.weight.shape)}


class Linear(Objective):
    """z·φ_θ(s) with φ the distribution's own parameters and z the policy gradient in them, kept
    within a trust region around the averaged policy (Wang et al. 2016, "Sample efficient
    actor-critic with experience replay"): with g = ∇_φ log π(a|s)·Â, k = ∇_φ KL(average‖π) and
    δ = `max_kl`, z = g − max(0, (kᵀg − δ)/‖k‖²)·k is the vector closest to g that has kᵀz ≤ δ.

    Only the gradient is meant: z belongs to where it is taken, so that values at two parameters are
    of two objectives, and no line search can compare them. Needs `batch.average`: wrap the update
    in `AveragePolicy`.
    """

    max_kl: Scalar = eqx.field(converter=jnp.asarray)

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, " B"]:
        z = self.projected(dist, batch).z
        return dist.inner(jax.lax.stop_gradient(z))

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, " B"]]:
        active = self.projected(dist, batch).excess > 0
        return {"projected_fraction": active.astype(batch.advantage.dtype)}

    def projected(self, dist: Distribution, batch: Batch) -> Projection:
        """g, k and z of every row, in the structure of a distribution."""
        if batch.average is None:
            raise UsageError(
                "Linear needs batch.average; accepted is an update within surefoot.AveragePolicy"
            )
        average = batch.average

        def score(phi: Distribution) -> Float[Array, ""]:
            return jnp.sum(phi.log_prob(batch.action) * batch.advantage)

        phi = jax.lax.stop_gradient(dist)
        g = jax.grad(score)(phi)
        k = jax.grad(lambda phi: jnp.sum(average.kl(phi)))(phi)
        excess = jnp.maximum(k.inner(g) - self.max_kl, 0.0)
        # k = 0 means that kᵀg = 0 ≤ δ: nothing to take away.
        square = k.inner(k)
        factor = excess / jnp.where(square > 0, square, 1.0)
        z = jax.tree.map(lambda g, k: g - factor.reshape(-1, *(1,) * (k.ndim - 1)) * k, g, k)
        return Projection(g, k, z, excess)


class Projection(NamedTuple):
    """The gradient of `Linear` in the distribution's parameters, with what made it."""

    g: Distribution
    """∇_φ log π(a|s)·Â."""
    k: Distribution
    """∇_φ KL(average‖π)."""
    z: Distribution
    """g with just so much of k taken away that kᵀz ≤ δ."""
    excess: Float[Array, " B"]
    """max(0, kᵀg − δ), nats."""


class EntropyBonus(Objective):
    """objective + `coefficient`·H[π_θ(·|s)], around any other objective."""

    objective: Objective = eqx.field(converter=as_objective)
    coefficient: Scalar = eqx.field(converter=jnp.asarray)

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, " B"]:
        return self.objective(dist, batch) + self.coefficient * dist.entropy()

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, " B"]]:
        return self.objective.diagnostics(dist, batch)

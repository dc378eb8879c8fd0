"""Objectives around another objective: a KL penalty, an entropy bonus."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from surefoot.core.data.types import Batch, Scalar
from surefoot.core.distributions import Distribution
from surefoot.core.objectives.base import Objective, as_objective


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


class EntropyBonus(Objective):
    """objective + `coefficient`·H[π_θ(·|s)], around any other objective."""

    objective: Objective = eqx.field(converter=as_objective)
    coefficient: Scalar = eqx.field(converter=jnp.asarray)

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, " B"]:
        return self.objective(dist, batch) + self.coefficient * dist.entropy()

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, " B"]]:
        return self.objective.diagnostics(dist, batch)

"""Objectives around another objective: a KL penalty, an entropy bonus."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from surefoot.core.data.types import Batch, Scalar
from surefoot.core.distributions.base import Distribution, KLDirection, kl_between
from surefoot.core.objectives.base import Objective, as_objective


class KLPenalized(Objective):
    """objective − `beta`·KL(π_old‖π_θ)[s], around any other objective (Schulman et al. 2017 with
    `Surrogate`), or with KL(π_θ‖π_old) where `kl_direction` is "new_old". `AdaptKL` adapts β, in
    units of the objective per nat."""

    adaptable = ("beta",)

    objective: Objective = eqx.field(converter=as_objective)
    beta: Scalar = eqx.field(converter=jnp.asarray)
    kl_direction: KLDirection = eqx.field(static=True, default="old_new", kw_only=True)

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, "*B"]:
        value = self.objective(dist, batch)
        return value - self.beta * kl_between(batch.old, dist, self.kl_direction)

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, "*B"]]:
        inner = self.objective.diagnostics(dist, batch)
        return {**inner, "kl_penalty": jnp.broadcast_to(self.beta, batch.weight.shape)}


class EntropyBonus(Objective):
    """objective + `coefficient`·H[π_θ(·|s)], around any other objective."""

    objective: Objective = eqx.field(converter=as_objective)
    coefficient: Scalar = eqx.field(converter=jnp.asarray)

    def __call__(self, dist: Distribution, batch: Batch) -> Float[Array, "*B"]:
        return self.objective(dist, batch) + self.coefficient * dist.entropy()

    def diagnostics(self, dist: Distribution, batch: Batch) -> dict[str, Float[Array, "*B"]]:
        return self.objective.diagnostics(dist, batch)

"""`Update`, and what every update reports: what it did to the distribution on the whole batch."""

from __future__ import annotations

import abc
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from surefoot.common.part import Part
from surefoot.core.data.segments import distribution
from surefoot.core.data.types import Batch, Info, Params
from surefoot.core.local_model import LocalModel, dot, weighted_mean
from surefoot.core.objectives import Objective


class MoveInfo(NamedTuple):
    """The reports of the two parts that made a step."""

    direction: Info
    """The geometry's info."""
    length: Info
    """The step size's info."""


class UpdateInfo(NamedTuple):
    """What an update did, measured on the whole batch. KL is KL(old‖new) in nats."""

    objective_before: Float[Array, ""]
    """Batch mean of the objective before the update, in the objective's unit."""
    objective_after: Float[Array, ""]
    """The same after the update."""
    predicted_improvement: Float[Array, ""]
    """gᵀΔ: the improvement that the gradient before the update promises for the step taken."""
    kl_mean: Float[Array, ""]
    """Mean over the batch's states, nats."""
    kl_max: Float[Array, ""]
    """Largest over the batch's states, nats."""
    entropy: Float[Array, ""]
    """Mean entropy of the new distribution, nats."""
    diagnostics: dict[str, Float[Array, ""]]
    """Batch means of what the objective wants reported, after the update."""
    move: MoveInfo
    """The step's own reports; for several minibatch steps, their average."""


class Update(Part):
    """Improves parameters on a batch. Wrappers hold or make another `Update`."""

    @abc.abstractmethod
    def init(self, params: Params) -> Any:
        """The state before the first update."""

    @abc.abstractmethod
    def __call__(
        self, key: PRNGKeyArray, params: Params, state: Any, batch: Batch
    ) -> tuple[Params, Any, UpdateInfo]:
        """(new parameters, next state, info)."""


def unless_empty(batch: Batch, new: Any, old: Any) -> Any:
    """`new`, or `old` if no row of the batch has weight: rows without weight count in nothing, not
    in an optimizer's momentum either. Both are trees of the same structure."""
    counts = jnp.any(batch.weight > 0)
    arrays, rest = eqx.partition(new, eqx.is_array)
    chosen = jax.tree.map(
        lambda a, b: jnp.where(counts, a, b), arrays, eqx.filter(old, eqx.is_array)
    )
    return eqx.combine(chosen, rest)


def measure(
    objective: Objective, old: Params, new: Params, batch: Batch, move: MoveInfo
) -> UpdateInfo:
    """Compare the parameters before and after an update on the whole batch."""
    before = LocalModel(objective, old, batch)
    delta = jax.tree.map(
        lambda a, b: b - a,
        eqx.filter(old, eqx.is_inexact_array),
        eqx.filter(new, eqx.is_inexact_array),
    )
    dist = distribution(new, batch)
    kl = batch.old.kl(dist)

    def mean(x: Float[Array, "*B"]) -> Float[Array, ""]:
        return weighted_mean(x, batch.weight)

    return UpdateInfo(
        objective_before=before.value,
        objective_after=mean(objective(dist, batch)),
        predicted_improvement=dot(before.grad, delta),
        kl_mean=mean(kl),
        kl_max=jnp.max(jnp.where(batch.weight > 0, kl, 0.0)),
        entropy=mean(dist.entropy()),
        diagnostics={name: mean(x) for name, x in objective.diagnostics(dist, batch).items()},
        move=move,
    )

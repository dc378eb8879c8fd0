"""Lengths from a trust region: the edge of a KL ball, and the line search that makes sure."""

from __future__ import annotations

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from surefoot.core.data.types import Info, Params, Scalar
from surefoot.core.distributions.base import KLDirection
from surefoot.core.local_model import LocalModel, ObjectiveAndKL, dot, move
from surefoot.core.step_size.base import Schedule, StepSize
from surefoot.core.step_size.line_search import Secant, Shorten, search
from surefoot.core.step_size.schedules import constant


class QuadraticInfo(NamedTuple):
    """What a step measured by the Fisher matrix reports."""

    step_scale: Float[Array, ""]
    """The factor α on the direction."""
    d_fisher_d: Float[Array, ""]
    """dᵀFd with the undamped Fisher matrix; the step's quadratic KL is ½α²dᵀFd nats."""
    beta: Float[Array, ""]
    """The β whose penalized problem g·Δ − (β/2)ΔᵀFΔ has the same step: 1/α, 0 for a zero step."""


def fisher_curvature(
    local: LocalModel, direction: Params
) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    """dᵀFd, and whether it stands out from the rounding of its own computation."""
    curvature = local.curvature(direction)
    rounding = jnp.finfo(curvature.dtype).eps * dot(direction, direction)
    return curvature, curvature > rounding


class KLBall(StepSize):
    """θ + √(2δ/dᵀFd)·d, δ = `max_kl`·schedule(progress) nats: to the edge of the ball in which the
    quadratic model of KL(old‖new) stays within δ, whatever produced d; progress is the fraction of
    the run done. The step is zero where dᵀFd is no larger than its rounding, taken as eps·‖d‖², as
    it is for zero advantages. By duality it is the penalized step with β = √(dᵀFd/2δ), where the
    factor on d does not reach its bound `max_scale` (ACKTR's; Wu et al. 2017).
    """

    max_kl: Scalar = eqx.field(converter=jnp.asarray)
    max_scale: Scalar = eqx.field(converter=jnp.asarray, default=math.inf, kw_only=True)
    schedule: Schedule = eqx.field(static=True, default=constant, kw_only=True)

    def __call__(self, local: LocalModel, direction: Params) -> tuple[Params, QuadraticInfo]:
        curvature, positive = fisher_curvature(local, direction)
        radius = self.max_kl * self.schedule(local.batch.progress)
        root = jnp.sqrt(2.0 * radius / jnp.where(positive, curvature, 1.0))
        scale = jnp.where(positive, jnp.minimum(root, self.max_scale), 0.0)
        beta = jnp.where(scale > 0, 1.0 / jnp.where(scale > 0, scale, 1.0), 0.0)
        return move(local.params, direction, scale), QuadraticInfo(scale, curvature, beta)


class BacktrackInfo(NamedTuple):
    """What a line search reports, beside what the inner step size said of the full step."""

    accepted: Bool[Array, ""]
    """Whether some step passed; if not, the parameters are exactly the old ones."""
    backtracks: Int[Array, ""]
    """How often the step was shortened; the number of tries if none passed."""
    shrink: Float[Array, ""]
    """The accepted fraction of the full step; 0 if none passed."""
    full: Info
    """The inner step size's info."""


class Backtrack(StepSize):
    """The inner step size's step Δ, shortened until it neither lowers the objective nor exceeds a
    mean KL of δ = `max_kl`·schedule(progress) nats; `shorten` says how, from the KL that was
    measured. After `tries` of them without success the parameters stay exactly as they are
    (Schulman et al. 2015).

    `kl_direction` is "old_new" for KL(old‖new), or "new_old" for KL(new‖old).
    """

    inner: StepSize
    max_kl: Scalar = eqx.field(converter=jnp.asarray, kw_only=True)
    shorten: Shorten = eqx.field(default_factory=Secant, kw_only=True)
    tries: int = eqx.field(static=True, default=10, kw_only=True)
    kl_direction: KLDirection = eqx.field(static=True, default="old_new", kw_only=True)
    schedule: Schedule = eqx.field(static=True, default=constant, kw_only=True)

    def __call__(self, local: LocalModel, direction: Params) -> tuple[Params, BacktrackInfo]:
        full, info = self.inner(local, direction)
        max_kl = self.max_kl * self.schedule(local.batch.progress)
        start, static = eqx.partition(local.params, eqx.is_inexact_array)
        end = eqx.filter(full, eqx.is_inexact_array)

        def moved(fraction: Float[Array, ""]) -> Params:
            # The full step itself, not a sum that rounds to it, is what the first try tests.
            return jax.tree.map(
                lambda a, b: jnp.where(fraction == 1.0, b, a + fraction * (b - a)), start, end
            )

        def at(fraction: Float[Array, ""]) -> ObjectiveAndKL:
            return local.evaluate(eqx.combine(moved(fraction), static), self.kl_direction)

        def accept(change: ObjectiveAndKL) -> Bool[Array, ""]:
            # Written so that a NaN in either number fails.
            return (change.objective >= local.value) & (change.kl <= max_kl)

        def shorten(fraction: Float[Array, ""], change: ObjectiveAndKL) -> Float[Array, ""]:
            return self.shorten(fraction, change.kl, max_kl)

        found = search(at, accept, shorten, tries=self.tries, dtype=max_kl.dtype)
        new = jax.tree.map(
            lambda old, moved: jnp.where(found.accepted, moved, old), start, moved(found.fraction)
        )
        searched = BacktrackInfo(
            accepted=found.accepted,
            backtracks=jnp.where(found.accepted, found.backtracks, self.tries),
            shrink=jnp.where(found.accepted, found.fraction, 0.0),
            full=info,
        )
        return eqx.combine(new, static), searched

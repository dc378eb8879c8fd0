"""Lengths from a trust region: the edge of a KL ball, and the line search that makes sure."""

from __future__ import annotations

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from surefoot.core.data.types import Info, Params, Scalar
from surefoot.core.local_model import LocalModel, dot, move
from surefoot.core.step_size.base import StepSize


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
    """θ + √(2δ/dᵀFd)·d, δ = `max_kl` nats: to the edge of the ball in which the quadratic model of
    KL(old‖new) stays within δ, whatever produced d. The step is zero where dᵀFd is no larger than
    its rounding, taken as eps·‖d‖², as it is for zero advantages. By duality it is the penalized
    step with β = √(dᵀFd/2δ), where the factor on d does not reach its bound `max_scale` (ACKTR's;
    Wu et al. 2017).
    """

    max_kl: Scalar = eqx.field(converter=jnp.asarray)
    max_scale: Scalar = eqx.field(converter=jnp.asarray, default=math.inf, kw_only=True)

    def __call__(self, local: LocalModel, direction: Params) -> tuple[Params, QuadraticInfo]:
        curvature, positive = fisher_curvature(local, direction)
        root = jnp.sqrt(2.0 * self.max_kl / jnp.where(positive, curvature, 1.0))
        scale = jnp.where(positive, jnp.minimum(root, self.max_scale), 0.0)
        beta = jnp.where(positive, 1.0 / scale, 0.0)
        return move(local.params, direction, scale), QuadraticInfo(scale, curvature, beta)


class BacktrackInfo(NamedTuple):
    """What a line search reports, beside what the inner step size said of the full step."""

    accepted: Bool[Array, ""]
    """Whether some step passed; if not, the parameters are exactly the old ones."""
    backtracks: Int[Array, ""]
    """How often the step was shortened; the number of tries if none passed."""
    shrink: Float[Array, ""]
    """The accepted fraction decay^j of the full step; 0 if none passed."""
    full: Info
    """The inner step size's info."""


class Backtrack(StepSize):
    """The longest of the inner step size's step Δ times 1, decay, decay², … (`tries` of them) that
    neither lowers the objective nor exceeds a mean KL(old‖new) of `max_kl`. If there is none, the
    parameters stay exactly as they are (Schulman et al. 2015)."""

    inner: StepSize
    max_kl: Scalar = eqx.field(converter=jnp.asarray, kw_only=True)
    decay: Scalar = eqx.field(converter=jnp.asarray, default=0.8, kw_only=True)
    tries: int = eqx.field(static=True, default=10, kw_only=True)

    def __call__(self, local: LocalModel, direction: Params) -> tuple[Params, BacktrackInfo]:
        full, info = self.inner(local, direction)
        start, static = eqx.partition(local.params, eqx.is_inexact_array)
        end = eqx.filter(full, eqx.is_inexact_array)

        def at(shrink: Float[Array, ""]) -> Params:
            # The full step itself, not a sum that rounds to it, is what the first try tests.
            return jax.tree.map(
                lambda a, b: jnp.where(shrink == 1.0, b, a + shrink * (b - a)), start, end
            )

        def passes(shrink: Float[Array, ""]) -> Bool[Array, ""]:
            change = local.evaluate(eqx.combine(at(shrink), static))
            # Written so that a NaN in either number fails.
            return (change.objective >= local.value) & (change.kl <= self.max_kl)

        def shorten(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            j, shrink, _ = carry
            shrink = shrink * self.decay
            return j + 1, shrink, passes(shrink)

        def searching(carry: tuple[Array, Array, Array]) -> Bool[Array, ""]:
            j, _, accepted = carry
            return ~accepted & (j + 1 < self.tries)

        one = jnp.ones_like(self.max_kl)
        first = (jnp.zeros((), jnp.int32), one, passes(one))
        j, shrink, accepted = jax.lax.while_loop(searching, shorten, first)

        new = jax.tree.map(lambda old, moved: jnp.where(accepted, moved, old), start, at(shrink))
        search = BacktrackInfo(
            accepted=accepted,
            backtracks=jnp.where(accepted, j, self.tries),
            shrink=jnp.where(accepted, shrink, 0.0),
            full=info,
        )
        return eqx.combine(new, static), search

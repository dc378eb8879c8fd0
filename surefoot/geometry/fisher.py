"""The natural gradient, d = (F + λI)⁻¹ g.

Steepest where steps are measured by the KL they cause (Kakade 2001; Peters & Schaal 2008). F is the
Fisher matrix at the current parameters, used through products only; the solver decides how the
system is solved: conjugate gradient without ever forming F (Schulman et al. 2015), or densely by
Cholesky, for small networks and as the oracle. The damping λ shapes the direction and never enters
the length of the step, which uses the undamped F.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import lineax as lx
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from surefoot.geometry.base import Geometry
from surefoot.local import Local
from surefoot.types import Params, Scalar


class SolveInfo(NamedTuple):
    """What the solution of (F + λI) d = g reports."""

    grad_norm: Float[Array, ""]
    """‖g‖, Euclidean norm of the objective's gradient."""
    cg_steps: Int[Array, ""]
    """Conjugate-gradient iterations used; 0 for a direct solver."""
    relative_residual: Float[Array, ""]
    """‖g − F d − λ d‖/‖g‖; 0 where g = 0."""


def CG(steps: int = 10, *, tolerance: float = 1e-6) -> lx.CG:
    """At most `steps` conjugate-gradient iterations, fewer where the relative residual has fallen
    to `tolerance`."""
    # `Fisher` hands over a right-hand side of unit norm, so the absolute tolerance is relative.
    return lx.CG(
        rtol=0.0, atol=tolerance, norm=optax.tree.norm, max_steps=steps, stabilise_every=None
    )


def Cholesky() -> lx.Cholesky:
    """F + λI as a dense matrix, factorized: exact, cubic in the number of parameters."""
    return lx.Cholesky()


#: The solver sees the operator in units that make it this much larger. Lineax's CG gives up with a
#: NaN where pᵀAp ≤ 100·eps·n·rᵀr, which a Fisher matrix of a few thousand float32 parameters
#: meets at ordinary curvatures; in these units it is far away. A power of two: exact.
_UNITS = 2.0**20


class Fisher(Geometry):
    """d = (F + λI)⁻¹ g with λ = `damping`, solved by any lineax solver for positive definite
    operators, `CG(10)` or `Cholesky()` for instance."""

    solver: lx.AbstractLinearSolver = eqx.field(static=True)
    damping: Scalar = eqx.field(converter=jnp.asarray, default=0.1)

    def init(self, params: Params) -> None:
        return None

    def direction(
        self, key: PRNGKeyArray, local: Local, state: None
    ) -> tuple[Params, None, SolveInfo]:
        def damped(v: Params) -> Params:
            return optax.tree.add_scale(local.fvp(v), self.damping, v)

        norm = optax.tree.norm(local.grad)
        positive = norm > 0
        unit = optax.tree.scale(1.0 / jnp.where(positive, norm, 1.0), local.grad)
        operator = lx.FunctionLinearOperator(
            lambda v: optax.tree.scale(_UNITS, damped(v)),
            eqx.filter_eval_shape(lambda: unit),
            lx.positive_semidefinite_tag,
        )
        # An iteration limit that is reached is the method, not a failure: the residual tells.
        solution = lx.linear_solve(operator, unit, self.solver, throw=False)
        direction = optax.tree.scale(_UNITS * norm, solution.value)

        # The Fisher product here and the one that measures the step's length are the same
        # expression, and the compiler computes it once.
        residual = optax.tree.sub(local.grad, damped(direction))
        info = SolveInfo(
            grad_norm=norm,
            cg_steps=jnp.asarray(solution.stats.get("num_steps", 0)),
            relative_residual=optax.tree.norm(residual) / jnp.where(positive, norm, 1.0),
        )
        return direction, None, info

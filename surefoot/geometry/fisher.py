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
    """‖g − F d − λ d‖/‖g‖, as the solver carries it along, or computed; 0 where g = 0."""


def Cholesky() -> lx.Cholesky:
    """F + λI as a dense matrix, factorized: exact, cubic in the number of parameters."""
    return lx.Cholesky()


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

        operator = lx.FunctionLinearOperator(
            damped,
            eqx.filter_eval_shape(lambda: local.grad),
            lx.positive_semidefinite_tag,
        )
        # An iteration limit that is reached is the method, not a failure: the residual tells.
        solution = lx.linear_solve(operator, local.grad, self.solver, throw=False)
        direction, stats = solution.value, solution.stats
        residual = stats.get("residual")
        if residual is None:
            residual = optax.tree.norm(optax.tree.sub(local.grad, damped(direction)))
        norm = optax.tree.norm(local.grad)
        info = SolveInfo(
            grad_norm=norm,
            cg_steps=jnp.asarray(stats.get("num_steps", 0)),
            relative_residual=residual / jnp.where(norm > 0, norm, 1.0),
        )
        return direction, None, info

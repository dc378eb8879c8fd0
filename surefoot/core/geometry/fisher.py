"""The natural gradient, d = (F + λI)⁻¹ g.

Steepest where steps are measured by the KL they cause (Kakade 2001; Peters & Schaal 2008). F is the
Fisher matrix at the current parameters, used through products only; the solver decides how the
system is solved: conjugate gradient without ever forming F (Schulman et al. 2015), or densely by
Cholesky, for small networks and as the oracle. The damping λ shapes the direction and never enters
the length of the step, which uses the undamped F.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from surefoot.common.errors import UsageError
from surefoot.common.part import composition
from surefoot.core.data.types import Params, Scalar
from surefoot.core.geometry.base import Geometry
from surefoot.core.geometry.hessian_free import diagonal_preconditioner, refined_cg
from surefoot.core.local_model import LocalModel, dot


class CG(lx.AbstractLinearSolver):
    """Conjugate gradient (Hestenes & Stiefel 1952): at most `steps` iterations from zero, fewer
    where the relative residual ‖b − Ax‖/‖b‖ has fallen to `tolerance`. The operator must be
    positive definite. `solution.stats` has "num_steps" and "residual", ‖b − Ax‖. With `progress`,
    and with lineax's options "preconditioner" and "y0", it is `refined_cg`, of `hessian_free`:
    `CG(50, progress=5e-4)` also stops where it gains little more (Martens 2010).

    Lineax has a solver of its own. This one needs one product an iteration: it starts from zero
    without applying the operator, and reports the recursively updated residual, where computing it
    afresh takes one product more. That saves two of a TRPO step's twelve products. Nor does it give
    up where pᵀAp is small beside ‖r‖², which a Fisher matrix of some thousand float32 parameters
    meets at ordinary curvatures.
    """

    steps: int = eqx.field(static=True, default=10)
    tolerance: float = eqx.field(static=True, default=1e-6, kw_only=True)
    progress: float | None = eqx.field(static=True, default=None, kw_only=True)

    def __check_init__(self) -> None:
        if self.progress is not None and not 0 <= self.progress < math.inf:
            raise UsageError(f"progress is {self.progress!r}; accepted is a finite number >= 0")

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> Any:
        if not lx.is_positive_semidefinite(operator):
            raise ValueError("CG solves systems with a positive definite operator only")
        return operator

    def compute(
        self, state: Any, vector: PyTree[Any], options: dict[str, Any]
    ) -> tuple[PyTree[Any], lx.RESULTS, dict[str, Any]]:
        if options or self.progress is not None:
            limits = self.steps, self.tolerance, self.progress
            x, stats = refined_cg(state.mv, vector, *limits, **options)
            return x, lx.RESULTS.successful, stats
        enough = self.tolerance**2 * dot(vector, vector)

        def unsolved(carry: Any) -> Any:
            _, _, _, squared, number = carry
            return (number < self.steps) & (squared > enough)

        def iterate(carry: Any) -> Any:
            x, r, p, squared, number = carry
            image = state.mv(p)
            along = squared / dot(p, image)
            x = optax.tree.add_scale(x, along, p)
            r = optax.tree.add_scale(r, -along, image)
            after = dot(r, r)
            p = optax.tree.add_scale(r, after / squared, p)
            return x, r, p, after, number + 1

        start = optax.tree.zeros_like(vector), vector, vector, dot(vector, vector), jnp.asarray(0)
        x, _, _, squared, number = jax.lax.while_loop(unsolved, iterate, start)
        return x, lx.RESULTS.successful, {"num_steps": number, "residual": jnp.sqrt(squared)}

    def transpose(self, state: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return state.transpose(), {}

    def conj(self, state: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return lx.conj(state), {}

    def assume_full_rank(self) -> bool:
        return True

    def __repr__(self) -> str:
        return composition(self)


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
    operators, `CG(10)` or `Cholesky()` for instance.

    CG can be helped (Martens 2010): by a `preconditioner`, the sampled diagonal (diag F + λ)^0.75,
    for about two products and networks that have what `KFAC` needs, and by beginning at
    `warm_start` times the direction before, 0.95 for instance, for one product."""

    solver: lx.AbstractLinearSolver = eqx.field(static=True)
    damping: Scalar = eqx.field(converter=jnp.asarray, default=0.1)
    preconditioner: bool = eqx.field(static=True, default=False, kw_only=True)
    warm_start: float = eqx.field(static=True, default=0.0, kw_only=True)

    def __check_init__(self) -> None:
        if not 0 <= self.warm_start <= 1:
            raise UsageError(f"warm_start is {self.warm_start!r}; accepted is a number in [0, 1]")
        if (self.preconditioner or self.warm_start) and isinstance(self.solver, lx.Cholesky):
            raise UsageError("preconditioner and warm_start are accepted with the solver CG only")

    def init(self, params: Params) -> Params | None:
        """The direction before, where the next one begins at it: zero."""
        if not self.warm_start:
            return None
        return optax.tree.zeros_like(eqx.filter(params, eqx.is_inexact_array))

    def direction(
        self, key: PRNGKeyArray, local: LocalModel, state: Params | None
    ) -> tuple[Params, Params | None, SolveInfo]:
        def damped(v: Params) -> Params:
            return optax.tree.add_scale(local.fvp(v), self.damping, v)

        operator = lx.FunctionLinearOperator(
            damped,
            eqx.filter_eval_shape(lambda: local.grad),
            lx.positive_semidefinite_tag,
        )
        # An iteration limit that is reached is the method, not a failure: the residual tells.
        options: dict[str, Any] = {}
        if self.preconditioner:
            options["preconditioner"] = diagonal_preconditioner(local, key, self.damping)
        if self.warm_start:
            options["y0"] = optax.tree.scale(self.warm_start, state)
        solution = lx.linear_solve(operator, local.grad, self.solver, options=options, throw=False)
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
        return direction, direction if self.warm_start else None, info

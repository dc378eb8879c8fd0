"""The natural gradient by regression on the score, ∇_θ log π(a|s).

A value function that is linear in the score, Â ≈ wᵀψ with ψ = ∇_θ log π(a|s), is *compatible* with
the policy: fitted by least squares, its weights w are the natural gradient (Peters & Schaal 2008,
"Natural actor-critic"; Kakade 2001). From the actions of a batch,

    (Ψ Ψᵀ/B + λI) w = Ψ Â/B

is `Fisher` with the empirical matrix, of the actions that were drawn, in the place of the exact
one, a mean over all actions. The difference vanishes as B^−½.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from surefoot.core.data.segments import distribution
from surefoot.core.data.types import Params, Scalar
from surefoot.core.geometry.base import Geometry
from surefoot.core.geometry.fisher import SolveInfo
from surefoot.core.local_model import LocalModel


class Compatible(Geometry):
    """d = w of the regression of Â on the batch's scores, with λ = `damping`, solved as for
    `Fisher`. Belongs with `Score`, whose gradient is Ψ Â/B."""

    solver: lx.AbstractLinearSolver = eqx.field(static=True)
    damping: Scalar = eqx.field(converter=jnp.asarray, default=0.1)

    def init(self, params: Params) -> None:
        return None

    def direction(
        self, key: PRNGKeyArray, local: LocalModel, state: None
    ) -> tuple[Params, None, SolveInfo]:
        theta, static = eqx.partition(local.params, eqx.is_inexact_array)
        batch = local.batch

        def log_prob(theta: Params) -> Float[Array, "*B"]:
            return distribution(eqx.combine(theta, static), batch).log_prob(batch.action)

        _, scores = jax.linearize(log_prob, theta)
        transposed = jax.linear_transpose(scores, theta)

        def damped(v: Params) -> Params:
            product = transposed(local.share * scores(v))[0]
            return optax.tree.add_scale(product, self.damping, v)

        gradient = local.grad
        structure = eqx.filter_eval_shape(lambda: gradient)
        operator = lx.FunctionLinearOperator(damped, structure, lx.positive_semidefinite_tag)
        # An iteration limit that is reached is the method, not a failure: the residual tells.
        solution = lx.linear_solve(operator, gradient, self.solver, throw=False)
        residual = optax.tree.norm(optax.tree.sub(gradient, damped(solution.value)))
        norm = optax.tree.norm(gradient)
        steps: Any = solution.stats.get("num_steps", 0)
        info = SolveInfo(norm, jnp.asarray(steps), residual / jnp.where(norm > 0, norm, 1.0))
        return solution.value, None, info

"""Conjugate gradient (Hestenes & Stiefel 1952) as a solver of lineax's.

Lineax has one of its own. This one multiplies as often as it iterates: it starts from zero without
asking what the operator makes of zero, and tells the residual that it carries along, where finding
it afresh takes one product more. Of a TRPO step's products that is two in twelve. Nor does it give
up where pᵀAp is small beside ‖r‖², which a Fisher matrix of some thousand float32 parameters meets
at ordinary curvatures.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import optax
from jaxtyping import PyTree

from surefoot.local import dot


class CG(lx.AbstractLinearSolver):
    """At most `steps` iterations from zero, fewer where the relative residual ‖b − Ax‖/‖b‖ has
    fallen to `tolerance`. The operator must be positive definite. `solution.stats` has "num_steps"
    and "residual", ‖b − Ax‖."""

    steps: int = eqx.field(static=True, default=10)
    tolerance: float = eqx.field(static=True, default=1e-6, kw_only=True)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> Any:
        if not lx.is_positive_semidefinite(operator):
            raise ValueError("CG solves systems with a positive definite operator only")
        return operator

    def compute(
        self, state: Any, vector: PyTree[Any], options: dict[str, Any]
    ) -> tuple[PyTree[Any], lx.RESULTS, dict[str, Any]]:
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

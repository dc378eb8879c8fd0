"""Refinements of conjugate gradient from Hessian-free optimization (Martens 2010, "Deep learning
via Hessian-free optimization"; Martens & Sutskever 2012).

Conjugate gradient for A x = b lowers φ(x) = ½ xᵀAx − bᵀx, and φ(x) = −½ xᵀ(b + r) costs no product
where the residual r = b − Ax is known. By φ the iteration can stop when it makes no more progress,
be scaled by the diagonal of A, and begin at the solution before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from surefoot.core.data.types import Params, Scalar
from surefoot.core.geometry.kfac import layer_leaves, layer_statistics
from surefoot.core.local_model import LocalModel, dot
from surefoot.core.networks import Patches

#: The exponent of the preconditioner: between none and the diagonal itself.
EXPONENT = 0.75
#: The fewest iterations whose progress is looked at.
WINDOW = 10


def refined_cg(
    product: Callable[[PyTree[Any]], PyTree[Any]],
    b: PyTree[Any],
    steps: int,
    tolerance: float,
    progress: float | None = None,
    *,
    preconditioner: lx.AbstractLinearOperator | None = None,
    y0: PyTree[Any] | None = None,
) -> tuple[PyTree[Any], dict[str, Any]]:
    """Preconditioned conjugate gradient (Hestenes & Stiefel 1952; Martens 2010).

    Args:
        product: v ↦ A v, A positive definite.
        b: the right-hand side, of the structure of x.
        steps: the most iterations, of one product each.
        tolerance: stop where ‖b − Ax‖ ≤ tolerance·‖b‖.
        progress: ε; stop also at i > k where φ_i < 0 and (φ_i − φ_{i−k})/φ_i < kε with
            k = max(10, ⌈i/10⌉): where the last k iterations have gained less than ε each, relative
            to the whole. `None`: never.
        preconditioner: M⁻¹, positive definite and like A⁻¹.
        y0: where to begin if φ(y0) < 0, at the cost of one product; else, and if `None`, at zero.

    Returns:
        x, and the statistics "num_steps" and "residual", ‖b − Ax‖.
    """
    enough = tolerance**2 * dot(b, b)
    x, r = _start(product, b, y0)

    def precondition(r: PyTree[Any]) -> PyTree[Any]:
        return r if preconditioner is None else preconditioner.mv(r)

    def unsolved(carry: Any) -> Any:
        _, _, _, _, squared, number, values = carry
        going = (number < steps) & (squared > enough)
        return going if progress is None else going & ~_stalled(values, number, progress)

    def iterate(carry: Any) -> Any:
        x, r, p, inner, _, number, values = carry
        image = product(p)
        along = inner / dot(p, image)
        x = optax.tree.add_scale(x, along, p)
        r = optax.tree.add_scale(r, -along, image)
        y = precondition(r)
        after = dot(r, y)
        p = optax.tree.add_scale(y, after / inner, p)
        if values is not None:
            values = values.at[number + 1].set(_model(x, r, b))
        return x, r, p, after, dot(r, r), number + 1, values

    values = None
    if progress is not None:
        first = _model(x, r, b)
        values = jnp.zeros(steps + 1, first.dtype).at[0].set(first)
    y = precondition(r)
    carry = x, r, y, dot(r, y), dot(r, r), jnp.asarray(0), values
    x, _, _, _, squared, number, _ = jax.lax.while_loop(unsolved, iterate, carry)
    return x, {"num_steps": number, "residual": jnp.sqrt(squared)}


def _model(x: PyTree[Any], r: PyTree[Any], b: PyTree[Any]) -> Float[Array, ""]:
    """φ(x) where the residual is r."""
    return -0.5 * dot(x, optax.tree.add(b, r))


def _start(
    product: Callable[[PyTree[Any]], PyTree[Any]], b: PyTree[Any], y0: PyTree[Any] | None
) -> tuple[PyTree[Any], PyTree[Any]]:
    """(x, its residual) to begin with."""
    here = optax.tree.zeros_like(b), b
    if y0 is None:
        return here
    residual = optax.tree.sub(b, product(y0))
    # A NaN is no better than zero.
    better = _model(y0, residual, b) < 0
    x, r = jax.tree.map(lambda a, b: jnp.where(better, a, b), (y0, residual), here)
    return x, r


def _stalled(values: Float[Array, " n"], number: Array, progress: float) -> Bool[Array, ""]:
    """Whether the last iterations have gained too little."""
    window = jnp.maximum(WINDOW, -(-number // 10))
    now, before = values[number], values[jnp.maximum(number - window, 0)]
    # Both sides times φ_i, which is negative.
    little = now - before > window.astype(values.dtype) * progress * now
    return (number > window) & (now < 0) & little


def diagonal_preconditioner(
    local: LocalModel, key: PRNGKeyArray, damping: Scalar
) -> lx.AbstractLinearOperator:
    """M⁻¹ with M = (diag F + λ)^0.75 (Martens 2010)."""
    diagonal = jax.tree.map(lambda d: d + damping, fisher_diagonal(local, key))
    # Without damping, parameters that the policy does not use have no entry.
    largest = optax.tree.max(diagonal)
    smallest = jnp.finfo(largest.dtype).eps * largest + jnp.finfo(largest.dtype).tiny
    scale = jax.tree.map(lambda d: jnp.maximum(d, smallest) ** -EXPONENT, diagonal)
    return lx.FunctionLinearOperator(
        lambda r: jax.tree.map(jnp.multiply, scale, r),
        eqx.filter_eval_shape(lambda: local.grad),
        lx.positive_semidefinite_tag,
    )


def fisher_diagonal(local: LocalModel, key: PRNGKeyArray) -> Params:
    """An estimate of diag(F), unbiased, for networks that have what `KFAC` needs of them.

    For the layers' parameters, E[(∂ log π(a|s)/∂θ)²] over the batch's states with an action a ~ π
    for each: a layer's gradient is x ∂ᵀ, its square (x∘x)(∂∘∂)ᵀ, and no row's gradient is ever
    formed. That of a convolution is a sum over positions, squared one row after the other. It costs
    about as much as one product with F, and takes nothing as independent, as diag(A) ⊗ diag(S)
    does. Parameters outside the layers have v∘(F v) with random signs v, one product more, negative
    numbers as 0: exact for a log σ that does not depend on the state, whose block is diagonal.
    """
    action_key, sign_key = jax.random.split(key)
    layers = layer_statistics(local, action_key)
    squares: list[Array] = []
    for x, s in zip(layers.inputs, layers.cotangents, strict=True):
        squares += _squared_gradients(x, s)

    leaves, structure = jax.tree.flatten(local.grad)
    diagonal = optax.tree.zeros_like(local.grad)
    if len(leaves) > len(squares):
        keys = jax.random.split(sign_key, len(leaves))
        signs = [
            jax.random.rademacher(k, leaf.shape, leaf.dtype)
            for k, leaf in zip(keys, leaves, strict=True)
        ]
        v = eqx.tree_at(
            layer_leaves, jax.tree.unflatten(structure, signs), [jnp.zeros_like(s) for s in squares]
        )
        diagonal = jax.tree.map(lambda v, image: jnp.maximum(v * image, 0.0), v, local.fvp(v))
    return eqx.tree_at(layer_leaves, diagonal, squares)


def _squared_gradients(
    x: Float[Array, "B in"] | Patches, s: Float[Array, "B out"] | Float[Array, "B P out"]
) -> tuple[Float[Array, "in out"], Float[Array, " out"]]:
    """The squares of the rows' gradients with respect to W and b of a layer, summed over rows."""
    if not isinstance(x, Patches):
        return jnp.square(x).T @ jnp.square(s), jnp.sum(jnp.square(s), axis=0)

    def add(total: tuple[Array, Array], row: tuple[Patches, Array]) -> tuple[Any, None]:
        x, s = row
        of_row = x.array().T @ s, jnp.sum(s, axis=0)
        return jax.tree.map(lambda sum_, g: sum_ + jnp.square(g), total, of_row), None

    zeros = jnp.zeros((x.shape[-1], s.shape[-1]), s.dtype), jnp.zeros(s.shape[-1], s.dtype)
    return jax.lax.scan(add, zeros, (x, s))[0]

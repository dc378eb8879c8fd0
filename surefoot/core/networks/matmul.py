"""A matrix product that keeps its left factor both ways round.

The derivative of x W in W is Δ ↦ x Δ, and backwards c ↦ xᵀ c. On a CPU a product whose left factor
is read down its columns, as xᵀ of a stored x is, takes up to twice the time, for it has to be
repacked first. Where one linearization is multiplied with many times, as a Fisher matrix in
conjugate gradient is, xᵀ is better laid out once.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float


def matmul_with_transpose(
    x: Float[Array, "B in"], w: Float[Array, "in out"]
) -> Float[Array, "B out"]:
    """`x @ w`, whose linearization holds xᵀ beside x."""
    kind = jnp.result_type(x, w)
    x, w = x.astype(kind), w.astype(kind)
    return _product.bind(x, x.T, w)


def _plain(x: Array, transposed: Array, w: Array) -> Array:
    return x @ w


def _jvp(primals: Any, tangents: Any) -> tuple[Array, Any]:
    x, transposed, w = primals
    # The change of xᵀ is that of x.
    dx, _, dw = tangents
    changes = []
    if not isinstance(dx, ad.Zero):
        changes.append(dx @ w)
    if not isinstance(dw, ad.Zero):
        changes.append(_product.bind(x, transposed, dw))
    return _product.bind(x, transposed, w), sum(changes[1:], changes[0])


def _transpose(cotangent: Any, x: Array, transposed: Array, w: Any) -> tuple[None, None, Any]:
    # Linear in w alone: a change of x goes through an ordinary product. Behind the barrier xᵀ is an
    # array; without it, the compiler reads x down its columns after all.
    laid_out = jax.lax.optimization_barrier(transposed)
    return None, None, _product.bind(laid_out, x, cotangent)


def _batched(arguments: Any, axes: Any) -> tuple[Array, int]:
    return jax.vmap(_plain, in_axes=axes)(*arguments), 0


_product = Primitive("product_kept_both_ways")
_product.def_impl(_plain)
_product.def_abstract_eval(lambda x, _, w: x.update(shape=(x.shape[0], w.shape[1])))
mlir.register_lowering(_product, mlir.lower_fun(_plain, multiple_results=False))
ad.primitive_jvps[_product] = _jvp
ad.primitive_transposes[_product] = _transpose
batching.primitive_batchers[_product] = _batched

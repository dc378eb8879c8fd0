"""A convolution whose derivatives are convolutions in the form that compilers are fast at.

T(x, w, c) = ⟨c, x ∗ w⟩ is linear in the image x, the weights w and a cotangent c. Its derivative in
c is the convolution; those in w and in x carry c back to the weights and to the image. Each of the
three is a product of two factors, and its derivatives are the other two. JAX writes them as
convolutions with axes exchanged, and for a stride of s, with kernels and images that are zero but
at every s-th pixel.

Compilers for CPUs multiply with those zeros, and put axes in order outside of loops only: within
one, such as conjugate gradient, the product for the weights takes a hundred times as long. So the
arrays are laid out first, and on a CPU each block of s × s pixels becomes one pixel with s² times
as many channels, which makes the stride 1: then the product for the weights is one of matrices.

Weights are a matrix [k·k·C, out], so that x ∗ w is the product of the image's patches and w.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float


class Window(NamedTuple):
    """Where a convolution reads, and how much at once."""

    size: int
    """k: k × k pixels."""
    stride: int = 1
    """Pixels from one position to the next."""
    padding: int = 0
    """Zeros on each side of the image."""

    def positions(self, side: int) -> int:
        """How many positions there are along a side of so many pixels."""
        return (side + 2 * self.padding - self.size) // self.stride + 1


def convolve(
    x: Float[Array, "B H W C"], w: Float[Array, "kkC out"], window: Window
) -> Float[Array, "B rows columns out"]:
    """The product of w and the patch of x at each position, x ∗ w."""
    kernel = w.reshape(window.size, window.size, x.shape[-1], w.shape[-1])
    return _image_and_weights.bind(x, kernel, window=window, sides=x.shape[1:3])


_AXES = ("NHWC", "HWIO", "NHWC")
_Sides = tuple[int, int]


def _convolved(x: Array, w: Array, *, window: Window, sides: _Sides) -> Array:
    """∂T/∂c [B, rows, columns, out]."""
    pads = [(window.padding, window.padding)] * 2
    strides = (window.stride, window.stride)
    return jax.lax.conv_general_dilated(x, w, strides, pads, dimension_numbers=_AXES)


def _to_weights(x: Array, c: Array, *, window: Window, sides: _Sides) -> Array:
    """∂T/∂w [k, k, C, out]: c is the kernel, its pixels a stride apart; the sum is over the rows,
    and each channel is an image."""
    size, stride, padding = window
    # What lies beyond the last position is cut off: a negative width.
    pads = [
        (padding, stride * (n - 1) + size - side - padding)
        for n, side in zip(c.shape[1:3], sides, strict=True)
    ]
    product = jax.lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0),
        c.transpose(1, 2, 0, 3),
        (1, 1),
        pads,
        rhs_dilation=(stride, stride),
        dimension_numbers=_AXES,
    )
    return product.transpose(1, 2, 0, 3)


def _to_image(c: Array, w: Array, *, window: Window, sides: _Sides) -> Array:
    """∂T/∂x [B, H, W, C]: the pixels of c are a stride apart, and the kernel is turned around."""
    size, stride, padding = window
    pads = [
        (size - 1 - padding, side + padding - stride * (n - 1) - 1)
        for n, side in zip(c.shape[1:3], sides, strict=True)
    ]
    turned = w[::-1, ::-1].transpose(0, 1, 3, 2)
    return jax.lax.conv_general_dilated(
        c, turned, (1, 1), pads, lhs_dilation=(stride, stride), dimension_numbers=_AXES
    )


def _to_weights_on_cpu(x: Array, c: Array, *, window: Window, sides: _Sides) -> Array:
    """`_to_weights`: the product of a matrix of blocks of s × s pixels with one in which c stands
    beside itself, shifted, once for each of the kernel's blocks."""
    size, stride, padding = window
    if stride == 1:
        return _to_weights(x, c, window=window, sides=sides)
    blocks, (_, rows, columns, out) = -(-size // stride), c.shape
    there = rows - 1 + blocks, columns - 1 + blocks
    x = _blocks(_padded(x, (padding, padding), [stride * n for n in there]), stride)
    shifts = itertools.product(range(blocks), range(blocks))
    c = jnp.concatenate([_padded(c, shift, there) for shift in shifts], axis=-1)
    # Behind the barrier they are arrays; without it, the product puts them together as it goes.
    x, c = jax.lax.optimization_barrier((x, c))
    product = x.reshape(-1, x.shape[-1]).T @ c.reshape(-1, c.shape[-1])
    product = product.reshape(-1, blocks, blocks, out).transpose(3, 1, 2, 0)
    return _pixels(product, stride).transpose(1, 2, 3, 0)[:size, :size]


def _to_image_on_cpu(c: Array, w: Array, *, window: Window, sides: _Sides) -> Array:
    """`_to_image` of blocks of s × s pixels, with stride 1."""
    size, stride, padding = window
    if stride == 1:
        return _to_image(c, w, window=window, sides=sides)
    blocks, (_, rows, columns, _) = -(-size // stride), c.shape
    beyond = blocks * stride - size
    kernel = jnp.pad(w, ((0, beyond), (0, beyond), (0, 0), (0, 0)))
    kernel = _blocks(kernel.transpose(3, 0, 1, 2), stride).transpose(1, 2, 3, 0)
    there = rows - 1 + blocks, columns - 1 + blocks
    image = _to_image(c, kernel, window=Window(blocks), sides=there)
    return _padded(_pixels(image, stride), (-padding, -padding), sides)


def _padded(x: Array, before: tuple[int, int], sides: Sequence[int]) -> Array:
    """Images of these sides, with so many zeros before their first row and their first column;
    negative numbers cut off."""
    widths = [
        (low, side - n - low, 0) for low, side, n in zip(before, sides, x.shape[1:3], strict=True)
    ]
    return jax.lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *widths, (0, 0, 0)])


def _blocks(x: Array, size: int) -> Array:
    """[B, H, W, C] → [B, H/size, W/size, size·size·C]."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // size, size, width // size, size, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // size, width // size, -1)


def _pixels(x: Array, size: int) -> Array:
    """What `_blocks` was made of."""
    batch, height, width, _ = x.shape
    x = x.reshape(batch, height, width, size, size, -1).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, height * size, width * size, -1)


def _product(
    name: str, plain: Callable[..., Array], on_cpu: Callable[..., Array] | None = None
) -> Primitive:
    """The primitive that computes `plain` of two factors, on a CPU by `on_cpu`."""

    def shaped(a: Any, b: Any, **options: Any) -> Any:
        return a.update(shape=jax.eval_shape(functools.partial(plain, **options), a, b).shape)

    def batched(factors: Any, axes: Any, **options: Any) -> tuple[Array, int]:
        if None in axes:
            return jax.vmap(functools.partial(plain, **options), in_axes=axes)(*factors), 0
        # All at once they would be a convolution in groups, which takes several times as long.
        factors = [jnp.moveaxis(x, axis, 0) for x, axis in zip(factors, axes, strict=True)]
        return jax.lax.map(lambda pair: primitive.bind(*pair, **options), tuple(factors)), 0

    primitive = Primitive(name)
    primitive.def_impl(plain)
    primitive.def_abstract_eval(shaped)
    mlir.register_lowering(primitive, mlir.lower_fun(plain, multiple_results=False))
    if on_cpu is not None:
        mlir.register_lowering(
            primitive, mlir.lower_fun(on_cpu, multiple_results=False), platform="cpu"
        )
    batching.primitive_batchers[primitive] = batched
    return primitive


_image_and_weights = _product("convolution", _convolved)
_image_and_cotangent = _product("convolution_to_weights", _to_weights, _to_weights_on_cpu)
_cotangent_and_weights = _product("convolution_to_image", _to_image, _to_image_on_cpu)

# For each product, where a cotangent of it goes: to its first factor, and to its second.
ad.defbilinear(
    _image_and_weights,
    lambda c, _, w, **options: _cotangent_and_weights.bind(c, w, **options),
    lambda c, x, _, **options: _image_and_cotangent.bind(x, c, **options),
)
ad.defbilinear(
    _image_and_cotangent,
    lambda w, _, c, **options: _cotangent_and_weights.bind(c, w, **options),
    lambda w, x, _, **options: _image_and_weights.bind(x, w, **options),
)
ad.defbilinear(
    _cotangent_and_weights,
    lambda x, _, w, **options: _image_and_weights.bind(x, w, **options),
    lambda x, c, _, **options: _image_and_cotangent.bind(x, c, **options),
)

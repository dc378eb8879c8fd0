"""Convolutions and patches against loops over pixels, and every derivative against JAX's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from support.images import convolved_by_hand, patches_by_hand
from surefoot.core.networks import Patches, convolution
from surefoot.core.networks.convolution import Window, convolve

#: Strides that divide the kernel and that do not, a rest that no position reaches, and padding.
WINDOWS = {
    "one pixel apart": Window(3),
    "half a kernel apart": Window(4, 2),
    "with a rest": Window(3, 2),
    "farther than a kernel": Window(2, 3),
    "padded": Window(3, padding=1),
    "padded, two apart": Window(3, 2, 1),
}
CANONICAL = "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"


def problem(window, seed=0, batch=(), out=5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(*batch, 3, 8, 7, 2))
    w = rng.normal(size=(*batch, window.size**2 * 2, out))
    return x, w


def by_jax(x, w, window):
    kernel = w.reshape(window.size, window.size, x.shape[-1], -1)
    pads, strides = ((window.padding,) * 2,) * 2, (window.stride,) * 2
    axes = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=axes)


def loss(product, window):
    """Has every second derivative."""
    return lambda x, w: jnp.sum(jnp.sin(product(jnp.tanh(x), jnp.tanh(w), window)))


def along(f):
    """The Hessian times a direction, forwards over backwards."""
    return lambda x, w: jax.jvp(jax.grad(f, (0, 1)), (x, w), (jnp.cos(x), jnp.cos(w)))


def back_along(f):
    """The same, backwards over forwards."""

    def slope(x, w):
        return jax.jvp(f, (x, w), (jnp.cos(x), jnp.cos(w)))[1]

    return jax.grad(slope, (0, 1))


def twice_back(f):
    def slope(x, w):
        return sum(jnp.sum(jnp.cos(g)) for g in jax.grad(f, (0, 1))(x, w))

    return jax.grad(slope, (0, 1))


ORDERS = {
    "value": lambda f: f,
    "backward": lambda f: jax.grad(f, (0, 1)),
    "forward over backward": along,
    "backward over forward": back_along,
    "backward over backward": twice_back,
}


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_it_is_each_patch_with_the_weights(window, x64):
    x, w = problem(window)
    found = np.asarray(jax.jit(convolve, static_argnums=2)(x, w, window))
    np.testing.assert_allclose(found, convolved_by_hand(x, w, window), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_patches_are_pixel_by_pixel_and_channels_innermost(window, x64):
    x, _ = problem(window)
    patches = Patches(jnp.asarray(x), window)
    found = np.asarray(jax.jit(Patches.array)(patches))
    np.testing.assert_array_equal(found, patches_by_hand(x, window))
    assert patches.shape == found.shape
    of_one = jax.tree.map(lambda leaf: leaf[1], patches)
    np.testing.assert_array_equal(jax.jit(Patches.array)(of_one), found[1])
    assert of_one.shape == found.shape[1:]


#: Wider than the image that it is of, and narrower.
WIDTHS = [(window, 5) for window in WINDOWS] + [
    ("half a kernel apart", 1),
    ("with a rest", 1),
    ("padded, two apart", 1),
]


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_every_derivative_is_that_of_jax(window, x64):
    x, w = problem(window)

    @jax.jit
    def both(x, w):
        return [[o(loss(f, window))(x, w) for o in ORDERS.values()] for f in (convolve, by_jax)]

    ours, plain = both(x, w)
    for name, a, b in zip(ORDERS, ours, plain, strict=True):
        for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(("window", "out"), WIDTHS)
def test_what_a_cpu_computes_is_what_others_do(window, out, x64):
    window = WINDOWS[window]
    x, w = problem(window, out=out)
    kernel = w.reshape(window.size, window.size, -1, out)
    c = np.random.default_rng(1).normal(size=by_jax(x, w, window).shape)
    x, c, kernel = map(jnp.asarray, (x, c, kernel))
    options = {"window": window, "sides": x.shape[1:3]}
    for general, on_cpu, factors in (
        (convolution._to_weights, convolution._to_weights_on_cpu, (x, c)),
        (convolution._to_image, convolution._to_image_on_cpu, (c, kernel)),
    ):
        found, expected = on_cpu(*factors, **options), general(*factors, **options)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("platform", "convolutions"), [("cpu", 3), ("cuda", 5)])
def test_in_a_loop_all_axes_are_in_the_compilers_order(platform, convolutions):
    """Elsewhere the compiler would see to it."""
    window = Window(3, 2)
    x, w = (a.astype(np.float32) for a in problem(window))

    def product(x, w):
        """The Hessian, as a Fisher matrix is multiplied with."""
        _, jvp = jax.linearize(lambda x, w: jnp.sin(convolve(x, w, window)), x, w)
        return jax.linear_transpose(jvp, x, w)(jvp(x, w))

    def loop(x, w):
        return jax.lax.fori_loop(0, 3, lambda _, pair: product(*pair), (x, w))

    text = jax.jit(loop).trace(x, w).lower(lowering_platforms=(platform,)).as_text()
    lines = [line for line in text.splitlines() if "stablehlo.convolution(" in line]
    assert len(lines) >= convolutions
    assert all(f"dim_numbers = {CANONICAL}" in line for line in lines)
    assert all("reverse = [true" not in line for line in lines)


@pytest.mark.parametrize("axes", [(0, 0), (1, 0), (None, 0), (0, None)])
def test_a_batch_of_problems_is_one_after_the_other(axes, x64):
    window = Window(3, 2)
    pair = problem(window, batch=(4,))
    given = [
        a[0] if axis is None else np.moveaxis(a, 0, axis)
        for a, axis in zip(pair, axes, strict=True)
    ]
    gradient = jax.grad(loss(convolve, window), (0, 1))
    together = jax.jit(jax.vmap(gradient, in_axes=axes))(*given)
    if None not in axes:
        text = jax.jit(jax.vmap(gradient, in_axes=axes)).lower(*given).as_text()
        assert "dilate = [2" not in text, "on a CPU nothing is multiplied with zeros"
    alone = jax.jit(gradient)
    for i in range(4):
        each = [a[0 if axis is None else i] for a, axis in zip(pair, axes, strict=True)]
        for a, b in zip(together, alone(*each), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-10, atol=1e-12)

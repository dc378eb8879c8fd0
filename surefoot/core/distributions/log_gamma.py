"""ln Γ between two arguments, and its curvature, without cancellation.

The KL of two beta distributions is a difference of values of ln Γ, which are so much larger than it
that single precision leaves nothing of a trust region's 0.01. Here the recurrence
Γ(x + 1) = x Γ(x) raises the arguments by `RAISED`, which splits off terms of one sign, and the rest
is Stirling's series (Abramowitz & Stegun 1964, 6.1.41 and 6.4.12), whose leading part is a
logarithm of a ratio near one.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

#: How far the recurrence raises an argument.
RAISED = 8
#: Of 1/x, 1/x³, … in ln Γ(x) − ((x − ½) ln x − x + ½ ln 2π): B₂ₖ/(2k(2k − 1)).
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


def log_gamma_divergence(y: Float[Array, "*shape"], x: Float[Array, "*shape"]) -> Array:
    """The Bregman divergence of ln Γ, ln Γ(y) − ln Γ(x) − (y − x) ψ(x) ≥ 0, at positive
    arguments."""
    d = y - x
    below = jnp.sum(_less_log(d[..., None], _steps(y), _steps(x)), axis=-1)
    x, y = x + RAISED, y + RAISED
    leading = y * _log_ratio(d, y, x) - d + 0.5 * _less_log(d, y, x)
    rest = jnp.zeros_like(x)
    for k, c in enumerate(_STIRLING):
        n = 2 * k + 1
        rest += c * (y**-n - x**-n * (1.0 - n * d / x))
    return below + leading + rest


def trigamma_excess(x: Float[Array, "*shape"]) -> Array:
    """The positive ψ′(x) − 1/x, at positive arguments."""
    # 1/x² less the part 1/(x(x + 1)) of 1/x.
    steps = _steps(x)
    below = jnp.sum(1.0 / (steps**2 * (steps + 1.0)), axis=-1)
    x = x + RAISED
    rest = 0.5 * x**-2
    for k, c in enumerate(_STIRLING):
        n = 2 * k + 1
        rest += c * n * (n + 1) * x ** -(n + 2)
    return below + rest


def _steps(x: Float[Array, "*shape"]) -> Float[Array, "*shape n"]:
    """x, x + 1, …, up to the last one below x + RAISED."""
    return x[..., None] + jnp.arange(RAISED, dtype=x.dtype).reshape(*(1,) * x.ndim, -1)


def _log_ratio(
    d: Float[Array, "*#shape"], y: Float[Array, "*shape"], x: Float[Array, "*shape"]
) -> Array:
    """The logarithm of y/x with d = y − x, to all of d's digits where it is small."""
    small = jnp.abs(d) < 0.5 * x
    return jnp.where(small, jnp.log1p(jnp.where(small, d / x, 0.0)), jnp.log(y / x))


def _less_log(
    d: Float[Array, "*#shape"], y: Float[Array, "*shape"], x: Float[Array, "*shape"]
) -> Array:
    """What the logarithm of y/x lacks to its bound y/x − 1."""
    return d / x - _log_ratio(d, y, x)

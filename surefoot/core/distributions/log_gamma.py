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
    steps = x[..., None] + jnp.arange(RAISED, dtype=x.dtype)
    below = jnp.sum(_less_log(d[..., None], steps), axis=-1)
    x, y = x + RAISED, y + RAISED
    t = d / x
    leading = y * _log_ratio(d, x) - d + 0.5 * _less_log(d, x)
    rest = jnp.zeros_like(x)
    for k, c in enumerate(_STIRLING):
        n = 2 * k + 1
        rest += c * (y**-n - x**-n * (1.0 - n * t))
    return below + leading + rest


def trigamma_excess(x: Float[Array, "*shape"]) -> Array:
    """The positive ψ′(x) − 1/x, at positive arguments."""
    steps = x[..., None] + jnp.arange(RAISED, dtype=x.dtype)
    # 1/x² less the part 1/(x(x + 1)) of 1/x.
    below = jnp.sum(1.0 / (steps**2 * (steps + 1.0)), axis=-1)
    x = x + RAISED
    rest = 0.5 * x**-2
    for k, c in enumerate(_STIRLING):
        n = 2 * k + 1
        rest += c * n * (n + 1) * x ** -(n + 2)
    return below + rest


def _log_ratio(d: Float[Array, "*shape"], x: Float[Array, "*shape"]) -> Array:
    """ln((x + d)/x)."""
    near = jnp.abs(d) < 0.5 * x
    # Far below x, 1 + d/x would be 0 by rounding.
    return jnp.where(near, jnp.log1p(jnp.where(near, d / x, 0.0)), jnp.log((x + d) / x))


def _less_log(d: Float[Array, "*shape"], x: Float[Array, "*shape"]) -> Array:
    """d/x − ln((x + d)/x) ≥ 0."""
    return d / x - _log_ratio(d, x)

"""Backtracking along a step: try it, and shorten it until a try is accepted."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from surefoot.common.part import Part
from surefoot.core.data.types import Scalar


class Found(NamedTuple):
    """Where a line search ended."""

    accepted: Bool[Array, ""]
    """Whether some try was accepted."""
    backtracks: Int[Array, ""]
    """How often the step was shortened."""
    fraction: Float[Array, ""]
    """The fraction of the full step that was tried last."""


def search(
    at: Callable[[Float[Array, ""]], Any],
    accept: Callable[[Any], Bool[Array, ""]],
    shorten: Callable[[Float[Array, ""], Any], Float[Array, ""]],
    *,
    tries: int,
    dtype: Any = None,
) -> Found:
    """Try fractions of a step, the whole step first, until one is accepted or `tries` have been
    made.

    `at(fraction)` measures a try; `accept(measured)` says whether it will do, and must be false
    where a number in it is NaN; `shorten(fraction, measured)` is the next fraction. Fractions are
    of type `dtype`, which is JAX's default one unless given.
    """

    def following(carry: tuple[Array, Array, Any]) -> tuple[Array, Array, Any]:
        j, fraction, measured = carry
        fraction = shorten(fraction, measured)
        return j + 1, fraction, at(fraction)

    def searching(carry: tuple[Array, Array, Any]) -> Bool[Array, ""]:
        j, _, measured = carry
        return ~accept(measured) & (j + 1 < tries)

    one = jnp.ones((), dtype)
    first = (jnp.zeros((), jnp.int32), one, at(one))
    j, fraction, measured = jax.lax.while_loop(searching, following, first)
    return Found(accept(measured), j, fraction)


class Shorten(Part):
    """Which fraction of a step comes after one that exceeded a bound on its KL, or failed
    otherwise."""

    @abc.abstractmethod
    def __call__(
        self, fraction: Float[Array, ""], kl: Float[Array, ""], max_kl: Float[Array, ""]
    ) -> Float[Array, ""]:
        """The next fraction. `kl` is what the last one measured, nats, and may be anything; the
        bound was `max_kl`."""


class Decay(Shorten):
    """Exponential decay: fractions 1, c, c², … with c = `factor` (Schulman et al. 2015)."""

    factor: Scalar = eqx.field(converter=jnp.asarray, default=0.8)

    def __call__(
        self, fraction: Float[Array, ""], kl: Float[Array, ""], max_kl: Float[Array, ""]
    ) -> Float[Array, ""]:
        return fraction * self.factor


class Secant(Shorten):
    """Regula falsi on √KL: s ← s·max(0.1, √((1 − τ)·δ/KL)), τ = `margin`, where the KL alone is
    too large, and s ← `decay`·s where it is not finite, or within δ and something else failed.

    √KL is nearly linear in s and zero at zero, so that the secant through zero and the last try
    meets √δ a second-order amount inside the ball; it never leaves it where KL(s)/s² increases
    between the two tries. Exponential decay by 0.8 throws 36 % of δ away at every backtrack.
    (Textbook root finding; for exact trust regions: Conn, Gould & Toint 2000, chapter 7.) From
    the second try on s is shortened by `decay` at least: where the policy that acted is another one
    than the step begins with, the KL is not zero at zero, and a secant alone would creep.
    """

    decay: Scalar = eqx.field(converter=jnp.asarray, default=0.8)
    margin: Scalar = eqx.field(converter=jnp.asarray, default=1e-3)

    def __call__(
        self, fraction: Float[Array, ""], kl: Float[Array, ""], max_kl: Float[Array, ""]
    ) -> Float[Array, ""]:
        outside = jnp.isfinite(kl) & (kl > max_kl)
        root = jnp.sqrt((1.0 - self.margin) * max_kl / jnp.where(outside, kl, 1.0))
        root = jnp.where(fraction < 1.0, jnp.minimum(root, self.decay), root)
        return fraction * jnp.where(outside, jnp.maximum(root, 0.1), self.decay)

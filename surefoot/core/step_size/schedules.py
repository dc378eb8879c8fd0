"""Schedules: factors on a rate, as functions of the fraction of the run that is done."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float


def constant(progress: Float[Array, ""]) -> Float[Array, ""]:
    """The schedule that does nothing: factor 1."""
    return jnp.ones_like(progress)


def linear(progress: Float[Array, ""]) -> Float[Array, ""]:
    """From factor 1 at the start of the run to 0 at its end."""
    return 1.0 - progress

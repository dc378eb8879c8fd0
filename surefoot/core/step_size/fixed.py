"""Lengths that are given: a rate, or the inverse of a penalty coefficient."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from surefoot.core.data.types import Params, Scalar
from surefoot.core.local_model import LocalModel, move
from surefoot.core.step_size.base import Schedule, StepSize
from surefoot.core.step_size.schedules import constant
from surefoot.core.step_size.trust_region import QuadraticInfo, fisher_curvature


class FixedInfo(NamedTuple):
    """What a step of fixed rate reports."""

    step_scale: Float[Array, ""]
    """The factor α on the direction."""


class Fixed(StepSize):
    """θ + α d with α = `rate`·schedule(progress); progress is the fraction of the run done."""

    adaptable = ("rate",)

    rate: Scalar = eqx.field(converter=jnp.asarray)
    schedule: Schedule = eqx.field(static=True, default=constant)

    def __call__(self, local: LocalModel, direction: Params) -> tuple[Params, FixedInfo]:
        scale = self.rate * self.schedule(local.batch.progress)
        return move(local.params, direction, scale), FixedInfo(scale)


class Penalty(StepSize):
    """θ + d/β: for d = F⁻¹g the optimum of g·Δ − (β/2)ΔᵀFΔ."""

    beta: Scalar = eqx.field(converter=jnp.asarray)

    def __call__(self, local: LocalModel, direction: Params) -> tuple[Params, QuadraticInfo]:
        curvature, _ = fisher_curvature(local, direction)
        beta = jnp.asarray(self.beta)
        scale = 1.0 / beta
        return move(local.params, direction, scale), QuadraticInfo(scale, curvature, beta)

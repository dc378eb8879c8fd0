"""Natural policy gradients: the Fisher geometry, with a length from a KL ball or from a penalty."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from surefoot.common.fields import positive
from surefoot.methods.recipes.base import Composition
from surefoot.methods.recipes.trpo import Natural

if TYPE_CHECKING:
    from surefoot.methods.learners.algorithm import Algorithm


@dataclasses.dataclass(frozen=True, kw_only=True)
class NPG(Natural):
    """Natural policy gradient: F⁻¹g, scaled to the edge of a KL ball; no line search."""

    parts = Composition("Surrogate", "Fisher(CG)", "KLBall(δ)", "–", "Kakade 2001")
    step_kl = "max_kl"

    max_kl: float = positive(0.01)
    """δ, the quadratic model's KL(old‖new) of a step, nats."""

    def build(self) -> Algorithm:
        from surefoot.core import KLBall, Step, Surrogate

        return self.algorithm(Step(Surrogate(), self.geometry(), KLBall(self.max_kl)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class NPGPenalty(Natural):
    """Natural policy gradient with a constant penalty on the KL: a step of F⁻¹g/β."""

    parts = Composition("Surrogate", "Fisher(CG)", "Penalty(β)", "–", "Kakade 2001")

    beta: float = positive(3.0)
    """β in g·Δ − (β/2)ΔᵀFΔ, in units of the standardized advantage per nat."""

    def build(self) -> Algorithm:
        from surefoot.core import Penalty, Step, Surrogate

        return self.algorithm(Step(Surrogate(), self.geometry(), Penalty(self.beta)))

"""Natural policy gradients: the Fisher geometry or its regression, with a length from a KL ball or
a penalty."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from surefoot.common.fields import at_least, nonnegative, positive
from surefoot.methods.families.actor_critic import ActorCritic
from surefoot.methods.families.base import Composition
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class NAC(ActorCritic):
    """Natural actor-critic: the natural gradient as the weights of a regression of the advantages
    on ∇log π, scaled to the edge of a KL ball."""

    parts = Composition("Score", "Compatible(CG)", "KLBall(δ)", "–", "Peters & Schaal 2008")
    step_kl = "max_kl"

    cg_steps: int = at_least(1, 10)
    """Conjugate-gradient iterations."""
    damping: float = nonnegative(0.1)
    """λ, the ridge of the regression; shapes the direction, not the length."""
    max_kl: float = positive(0.01)
    """δ, the quadratic model's KL(old‖new) of a step, nats."""

    def build(self) -> Algorithm:
        from surefoot.core import CG, Compatible, KLBall, Score, Step

        geometry = Compatible(CG(self.cg_steps), self.damping)
        return self.algorithm(Step(Score(), geometry, KLBall(self.max_kl)))

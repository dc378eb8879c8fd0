"""Natural policy gradients: the Fisher geometry, with a length from a KL ball or from a penalty."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar, Literal

from surefoot.config import at_least, nonnegative, positive
from surefoot.recipes.base import Row
from surefoot.recipes.critic import ActorCritic

if TYPE_CHECKING:
    from surefoot.algorithm import Algorithm
    from surefoot.geometry import Fisher


@dataclasses.dataclass(frozen=True, kw_only=True)
class Natural(ActorCritic):
    """What the natural gradient's methods share: how (F + λI) d = g is solved."""

    solver: Literal["cg", "exact"] = "cg"
    """cg: conjugate gradient; exact: Cholesky with the dense Fisher matrix, for small networks."""
    cg_steps: int = at_least(1, 10)
    """Conjugate-gradient iterations."""
    damping: float = nonnegative(0.1)
    """λ in (F + λI) d = g; shapes the direction, not the length."""

    def geometry(self) -> Fisher:
        """The Fisher geometry with that solver."""
        from surefoot import CG, Cholesky, Fisher

        return Fisher({"cg": CG(self.cg_steps), "exact": Cholesky()}[self.solver], self.damping)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NPG(Natural):
    """Natural policy gradient: F⁻¹g, scaled to the edge of a KL ball; no line search."""

    parts: ClassVar[Row] = Row("Surrogate", "Fisher(CG)", "KLBall(δ)", "–", "Kakade 2001")
    step_kl: ClassVar[str | None] = "max_kl"

    max_kl: float = positive(0.01)
    """δ, the quadratic model's KL(old‖new) of a step, nats."""

    def build(self) -> Algorithm:
        from surefoot import KLBall, Step, Surrogate

        return self.algorithm(Step(Surrogate(), self.geometry(), KLBall(self.max_kl)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class NPGPenalty(Natural):
    """Natural policy gradient with a constant penalty on the KL: a step of F⁻¹g/β."""

    parts: ClassVar[Row] = Row("Surrogate", "Fisher(CG)", "Penalty(β)", "–", "Kakade 2001")

    beta: float = positive(3.0)
    """β in g·Δ − (β/2)ΔᵀFΔ, in units of the standardized advantage per nat."""

    def build(self) -> Algorithm:
        from surefoot import Penalty, Step, Surrogate

        return self.algorithm(Step(Surrogate(), self.geometry(), Penalty(self.beta)))

"""TRPO: the natural gradient plus a line search (Schulman et al. 2015)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from surefoot.common.fields import at_least, nonnegative
from surefoot.methods.recipes.actor_critic import ActorCritic
from surefoot.methods.recipes.base import Composition
from surefoot.methods.recipes.line_searched import LineSearched

if TYPE_CHECKING:
    from surefoot.core.geometry import Fisher
    from surefoot.methods.learners.algorithm import Algorithm


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
        from surefoot.core import CG, Cholesky, Fisher

        return Fisher({"cg": CG(self.cg_steps), "exact": Cholesky()}[self.solver], self.damping)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TRPO(Natural, LineSearched):
    """TRPO: natural gradient, scaled to the edge of a KL ball, then shortened until the measured
    KL is within the ball and the surrogate does not fall."""

    parts = Composition(
        "Surrogate", "Fisher(CG)", "Backtrack(KLBall(δ), max_kl=δ)", "–", "Schulman et al. 2015"
    )

    def build(self) -> Algorithm:
        from surefoot.core import Step, Surrogate

        return self.algorithm(Step(Surrogate(), self.geometry(), self.step_size()))

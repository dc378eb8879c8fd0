"""TRPO: the natural gradient plus a line search (Schulman et al. 2015)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from surefoot.common.fields import at_least, fraction, nonnegative, positive
from surefoot.methods.recipes.actor_critic import ActorCritic
from surefoot.methods.recipes.base import Composition

if TYPE_CHECKING:
    from surefoot.core.geometry import Fisher
    from surefoot.core.step_size import Backtrack
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
class LineSearched(ActorCritic):
    """What methods share whose step goes to the edge of a KL ball and is then searched along."""

    step_kl = "max_kl"

    max_kl: float = positive(0.01)
    """δ, the largest mean KL of a step, nats."""
    max_kl_schedule: Literal["constant", "linear"] = "constant"
    """linear: δ falls to 0 over the run."""
    kl_direction: Literal["old_new", "new_old"] = "old_new"
    """The KL that the line search measures: old_new: KL(old‖new); new_old: KL(new‖old)."""
    line_search: Literal["secant", "decay"] = "secant"
    """How a step is shortened whose KL is too large: secant: to where the measured KL will be δ;
    decay: by the factor `decay`."""
    decay: float = fraction(0.8, zero=False)
    """Factor between two tries of the line search, for secant only where not the KL failed."""
    tries: int = at_least(1, 10)
    """Tries of the line search before the step is given up."""

    def step_size(self) -> Backtrack:
        """The edge of the KL ball, with that line search."""
        from surefoot.core import Backtrack, Decay, KLBall, Secant, schedules

        schedule = getattr(schedules, self.max_kl_schedule)
        shorten = {"secant": Secant, "decay": Decay}[self.line_search](self.decay)
        return Backtrack(
            KLBall(self.max_kl, schedule=schedule),
            max_kl=self.max_kl,
            shorten=shorten,
            tries=self.tries,
            kl_direction=self.kl_direction,
            schedule=schedule,
        )


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

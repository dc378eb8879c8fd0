"""TRPO: the natural gradient plus a line search (Schulman et al. 2015)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from surefoot.common.errors import UsageError
from surefoot.common.fields import at_least, nonnegative
from surefoot.methods.families.actor_critic import ActorCritic
from surefoot.methods.families.base import Composition
from surefoot.methods.families.line_searched import LineSearched

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
    cg_progress: bool = False
    """Stop conjugate gradient where the last ten iterations have each gained less than 0.0005 of
    the whole; it may then take 50 iterations, or cg_steps if they are more."""
    cg_preconditioner: bool = False
    """Scale conjugate gradient by the Fisher matrix's sampled diagonal, (diag F + λ)^0.75. Costs
    about as much as two iterations."""
    cg_warm_start: bool = False
    """Begin conjugate gradient at 0.95 times the direction before, where that is better than zero.
    Costs as much as one iteration."""
    damping: float = nonnegative(0.1)
    """λ in (F + λI) d = g; shapes the direction, not the length."""

    def geometry(self) -> Fisher:
        """The Fisher geometry with that solver."""
        from surefoot.core import CG, Cholesky, Fisher

        if self.solver == "exact":
            for name in ("cg_progress", "cg_preconditioner", "cg_warm_start"):
                if getattr(self, name):
                    raise UsageError(f"{name} is True; accepted with solver 'exact' is False")
            return Fisher(Cholesky(), self.damping)
        progress = CG(max(self.cg_steps, 50), progress=5e-4)
        return Fisher(
            progress if self.cg_progress else CG(self.cg_steps),
            self.damping,
            preconditioner=self.cg_preconditioner,
            warm_start=0.95 if self.cg_warm_start else 0.0,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TRPO(Natural, LineSearched):
    """TRPO: natural gradient, scaled to the edge of a KL ball, then shortened until the measured
    KL is within the ball and the surrogate does not fall."""

    parts = Composition(
        "Surrogate", "Fisher(CG)", "Backtrack(KLBall(δ), max_kl=δ)", "–", "Schulman et al. 2015"
    )

    reuse: int = at_least(1, 1)
    """M: how many iterations' batches each step learns from, the newest included; its bound on the
    KL is (2/(M+1))²·δ (Queeney et al. 2021, whose bound is on the root of the KL)."""

    def build(self) -> Algorithm:
        from surefoot.core import Step, Surrogate

        size = self.step_size((2 / (self.reuse + 1)) ** 2)
        return self.algorithm(Step(Surrogate(), self.geometry(), size), batches=self.reuse)

"""TRPO: the natural gradient plus a line search (Schulman et al. 2015)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from surefoot.config import at_least, fraction, positive
from surefoot.recipes.base import Row
from surefoot.recipes.natural import Natural

if TYPE_CHECKING:
    from surefoot.algorithm import Algorithm


@dataclasses.dataclass(frozen=True, kw_only=True)
class TRPO(Natural):
    """TRPO: natural gradient, scaled to the edge of a KL ball, then shortened until the measured
    KL is within the ball and the surrogate does not fall."""

    parts: ClassVar[Row] = Row(
        "Surrogate", "Fisher(CG)", "Backtrack(KLBall(δ), max_kl=δ)", "–", "Schulman et al. 2015"
    )
    step_kl: ClassVar[str | None] = "max_kl"

    max_kl: float = positive(0.01)
    """δ, the largest mean KL(old‖new) of a step, nats."""
    decay: float = fraction(0.8, zero=False)
    """Factor between two tries of the line search."""
    tries: int = at_least(1, 10)
    """Tries of the line search before the step is given up."""

    def build(self) -> Algorithm:
        from surefoot import Backtrack, KLBall, Step, Surrogate

        search = Backtrack(
            KLBall(self.max_kl), max_kl=self.max_kl, decay=self.decay, tries=self.tries
        )
        return self.algorithm(Step(Surrogate(), self.geometry(), search))

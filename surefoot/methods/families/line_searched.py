"""What TRPO and its relatives share: a step to the edge of a KL ball, and the search along it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from surefoot.common.fields import at_least, fraction, positive
from surefoot.methods.families.actor_critic import ActorCritic

if TYPE_CHECKING:
    from surefoot.core.step_size import Backtrack


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
    """Factor between two tries of the line search; for secant where not the KL failed, and the
    largest from the second try on."""
    tries: int = at_least(1, 10)
    """Tries of the line search before the step is given up."""

    def step_size(self, factor: float = 1.0) -> Backtrack:
        """The edge of the KL ball of `factor`·δ, with that line search."""
        from surefoot.core import Backtrack, Decay, KLBall, Secant, schedules

        schedule = getattr(schedules, self.max_kl_schedule)
        shorten = {"secant": Secant, "decay": Decay}[self.line_search](self.decay)
        max_kl = factor * self.max_kl
        return Backtrack(
            KLBall(max_kl, schedule=schedule),
            max_kl=max_kl,
            shorten=shorten,
            tries=self.tries,
            kl_direction=self.kl_direction,
            schedule=schedule,
        )

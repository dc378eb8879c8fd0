"""Constrained policy optimization: TRPO's step, within limits on what an episode may cost."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from surefoot.common.fields import at_least, positive
from surefoot.methods.families.base import Composition
from surefoot.methods.families.limited import Limited
from surefoot.methods.recipes.trpo import Natural

if TYPE_CHECKING:
    from surefoot.methods.learners.cost_limits import CostLimited


@dataclasses.dataclass(frozen=True, kw_only=True)
class CPO(Limited, Natural):
    """CPO: the best step in the plane of two natural gradients, the objective's and the cost's,
    within a KL ball and below the limit; then a line search that minds both."""

    parts = Composition(
        "Surrogate, CostSurrogate", "Fisher(CG)", "Constrained(δ)", "–", "Achiam et al. 2017"
    )
    step_kl = "max_kl"

    max_kl: float = positive(0.01)
    """δ, the largest mean KL of a step, nats."""
    tries: int = at_least(1, 15)
    """Tries of the line search before the step is given up."""

    def build(self) -> CostLimited:
        from surefoot.core import Constrained, Surrogate

        geometry = self.geometry()
        update = Constrained(Surrogate(), geometry, max_kl=self.max_kl, tries=self.tries)
        return self.limited(update)

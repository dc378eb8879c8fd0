"""PPO and TRPO with a multiplier on the cost that rises while it is above its limit."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from surefoot.common.fields import nonnegative, positive
from surefoot.methods.families.base import Composition
from surefoot.methods.families.limited import Limited
from surefoot.methods.families.line_searched import LineSearched
from surefoot.methods.families.proximal import Proximal
from surefoot.methods.recipes.trpo import Natural

if TYPE_CHECKING:
    from surefoot.core.updates import Update
    from surefoot.methods.learners.cost_limits import CostLimited


@dataclasses.dataclass(frozen=True, kw_only=True)
class WithMultiplier(Limited):
    """What both share."""

    initial_multiplier: float = nonnegative(0.001)
    """λ at the start, in units of the standardized advantage per unit of cost."""
    multiplier_rate: float = positive(0.035)
    """Adam's rate for λ, which climbs the cost of an episode above its limit."""

    def traded(self, update: Update) -> CostLimited:
        """That update, on advantages less λ times those of the cost."""
        from surefoot.core import Lagrangian

        numbers = {"rate": self.multiplier_rate, "initial": self.initial_multiplier}
        return self.limited(Lagrangian(update, len(self.cost_limit), **numbers))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOLagrangian(WithMultiplier, Proximal):
    """PPO-Clip on the advantages less a multiplier times those of the cost."""

    parts = Composition(
        "Clipped(ε)", "Optax(adam)", "Fixed(linear)", "Lagrangian(Epochs)", "Ray et al. 2019"
    )

    clip: float = positive(0.2)
    """ε: beyond 1 ± ε the probability ratio earns nothing."""

    def build(self) -> CostLimited:
        from surefoot.core import Clipped

        return self.traded(self.first_order_update(Clipped(self.clip)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TRPOLagrangian(WithMultiplier, Natural, LineSearched):
    """TRPO on the advantages less a multiplier times those of the cost."""

    parts = Composition(
        "Surrogate",
        "Fisher(CG)",
        "Backtrack(KLBall(δ), max_kl=δ)",
        "Lagrangian(Step)",
        "Ray et al. 2019",
    )

    def build(self) -> CostLimited:
        from surefoot.core import Step, Surrogate

        return self.traded(Step(Surrogate(), self.geometry(), self.step_size()))

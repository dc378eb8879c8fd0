"""What methods share that keep the cost of episodes below a limit."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from surefoot.common.errors import UsageError
from surefoot.common.fields import Interval, at_least, fraction
from surefoot.methods.families.actor_critic import ActorCritic

if TYPE_CHECKING:
    from surefoot.core.updates import Update
    from surefoot.methods.learners.cost_limits import CostLimited


def _name(cost: Any) -> str | None:
    """What a file can hold of a function."""
    return None if cost is None else f"own {getattr(cost, '__qualname__', type(cost).__name__)}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limited(ActorCritic):
    """A method that keeps the mean cost of an episode below a limit."""

    num_envs: int = at_least(1, 10)
    horizon: int = at_least(1, 1000)
    cost: Any = dataclasses.field(default=None, metadata={"as_json": _name})
    """A function of observations, raw actions and next observations, [T, N, …], to costs [T, N] or
    [T, N, K]; None: what the environment says, info["cost"]."""
    cost_limit: tuple[float, ...] = (25.0,)
    """The most that an episode should cost, on average; of several costs, one each."""
    cost_discount: float = fraction(0.99)
    """γ of the costs' advantages."""
    cost_gae_lambda: float = fraction(0.95)
    """λ of the costs' advantages."""
    cost_window: int = at_least(1, 20)
    """Episodes over whose last ones the cost of an episode is averaged."""

    def __post_init__(self) -> None:
        given: Any = self.cost_limit
        if isinstance(given, int | float) and not isinstance(given, bool):
            object.__setattr__(self, "cost_limit", (float(given),))
        super().__post_init__()
        accepts = Interval(0.0)
        limits: Any = self.cost_limit
        if not isinstance(limits, tuple) or not limits or any(x not in accepts for x in limits):
            raise UsageError(
                f"cost_limit is {given!r}; accepted is {accepts}, or one for each of several costs"
            )
        if isinstance(self.cost, str):
            raise UsageError(
                f"the cost is {self.cost!r}; accepted is the function, of which no file holds more "
                "than a name: pass algorithm= with cost=, surefoot.recipes.CPO(cost=…) for instance"
            )
        if self.cost is not None and not callable(self.cost):
            raise UsageError(
                f"cost is {self.cost!r}; accepted is a function (obs, action, next_obs) -> costs"
            )

    def limited(self, policy_update: Update) -> CostLimited:
        """That update of the policy, told the costs."""
        from surefoot.methods.learners.cost_limits import CostLimited

        return CostLimited(
            self.algorithm(policy_update),
            self.cost_limit,
            self.cost,
            discount=self.cost_discount,
            gae_lambda=self.cost_gae_lambda,
            window=self.cost_window,
        )

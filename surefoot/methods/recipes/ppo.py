"""Proximal policy optimization: many first-order steps on an objective that does not reward moving
far (Schulman et al. 2017)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from surefoot.common.fields import at_least, nonnegative, positive
from surefoot.methods.recipes.actor_critic import ActorCritic
from surefoot.methods.recipes.base import Composition

if TYPE_CHECKING:
    from surefoot.core.objectives import Objective
    from surefoot.core.step_size import Schedule
    from surefoot.core.updates import Epochs
    from surefoot.methods.learners.algorithm import Algorithm


@dataclasses.dataclass(frozen=True, kw_only=True)
class Proximal(ActorCritic):
    """What PPO's variants share: how the objective is climbed."""

    learning_rate: float = positive(3e-4)
    """Adam's rate at the start; falls linearly to 0 over the run."""
    epochs: int = at_least(1, 10)
    """Passes over the batch for the policy."""
    minibatch_size: int = at_least(1, 64)
    """Rows of a policy step."""
    entropy_coefficient: float = nonnegative(0.0)
    """Weight of the entropy bonus."""
    max_grad_norm: float = positive(0.5)
    """Global norm to which the policy's gradient is clipped."""
    critic_learning_rate: float = positive(3e-4)
    critic_epochs: int = at_least(1, 10)
    critic_minibatch_size: int = at_least(1, 64)

    def first_order_update(self, objective: Objective, schedule: Schedule | None = None) -> Epochs:
        """Passes of Adam over the batch, on the objective with its entropy bonus."""
        from surefoot.core import EntropyBonus, Epochs, Fixed, Optax, Step, schedules
        from surefoot.methods.recipes.optimizers import clipped_adam

        step = Step(
            EntropyBonus(objective, self.entropy_coefficient),
            Optax(clipped_adam, max_norm=self.max_grad_norm),
            Fixed(self.learning_rate, schedule or schedules.linear),
        )
        return Epochs(step, epochs=self.epochs, minibatch_size=self.minibatch_size)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOClip(Proximal):
    """PPO with the clipped objective: Adam on min(r Â, clip(r, 1 − ε, 1 + ε) Â), several passes
    over each batch, the rate falling linearly to zero."""

    parts = Composition(
        "Clipped(ε)", "Optax(adam)", "Fixed(linear)", "Epochs", "Schulman et al. 2017"
    )

    clip: float = positive(0.2)
    """ε: beyond 1 ± ε the probability ratio earns nothing."""

    def build(self) -> Algorithm:
        from surefoot.core import Clipped

        return self.algorithm(self.first_order_update(Clipped(self.clip)))

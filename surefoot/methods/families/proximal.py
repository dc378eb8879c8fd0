"""What PPO and its relatives share: several passes of Adam over each batch."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from surefoot.common.fields import at_least, nonnegative, positive
from surefoot.methods.families.actor_critic import ActorCritic

if TYPE_CHECKING:
    from surefoot.core.objectives import Objective
    from surefoot.core.step_size import Schedule
    from surefoot.core.updates import Epochs


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
        from surefoot.methods.families.optimizers import clipped_adam

        step = Step(
            EntropyBonus(objective, self.entropy_coefficient),
            Optax(clipped_adam, max_norm=self.max_grad_norm),
            Fixed(self.learning_rate, schedule or schedules.linear),
        )
        return Epochs(step, epochs=self.epochs, minibatch_size=self.minibatch_size)

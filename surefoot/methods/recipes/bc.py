"""Behavior cloning: maximum likelihood of recorded actions."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from surefoot.common.fields import at_least, nonnegative, positive
from surefoot.methods.families.base import Composition, Offline

if TYPE_CHECKING:
    from surefoot.methods.learners.behavior_cloning import Cloning


@dataclasses.dataclass(frozen=True, kw_only=True)
class BC(Offline):
    """Behavior cloning: Adam on log π(a|s) of recorded actions, one pass over the data an
    iteration; a step of the run is a recorded transition. ENV is what the agent is for."""

    parts = Composition("Likelihood", "Optax(adam)", "Fixed(linear)", "Epochs", "Pomerleau 1989")

    learning_rate: float = positive(1e-3)
    """Adam's rate at the start; falls linearly to 0 over the run."""
    minibatch_size: int = at_least(1, 64)
    """Rows of a step."""
    entropy_coefficient: float = nonnegative(0.0)
    """Weight of the entropy bonus, a regularizer. Without one, actions that were recorded without
    noise make σ fall as long as the run lasts."""
    weight_decay: float = nonnegative(0.0)
    """Weight of the L2 regularizer ½‖θ‖²."""

    def build(self) -> Cloning:
        from surefoot.core import EntropyBonus, Epochs, Fixed, Likelihood, Optax, Step, schedules
        from surefoot.methods.families.optimizers import decayed_adam
        from surefoot.methods.learners.behavior_cloning import Cloning

        optimizer = Optax(decayed_adam, weight_decay=self.weight_decay)
        objective = EntropyBonus(Likelihood(), self.entropy_coefficient)
        step = Step(objective, optimizer, Fixed(self.learning_rate, schedules.linear))
        return Cloning(Epochs(step, epochs=1, minibatch_size=self.minibatch_size))

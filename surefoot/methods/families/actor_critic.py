"""What methods with a learned critic share: its hyperparameters and its regression."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from surefoot.common.fields import at_least, fraction, positive
from surefoot.methods.families.base import OnPolicy

if TYPE_CHECKING:
    from surefoot.core.updates import Update
    from surefoot.methods.learners.algorithm import Algorithm


@dataclasses.dataclass(frozen=True, kw_only=True)
class ActorCritic(OnPolicy):
    """A method whose advantages come from a learned critic."""

    discount: float = fraction(0.99)
    """γ, the discount."""
    gae_lambda: float = fraction(0.95)
    """λ of generalized advantage estimation."""
    critic_learning_rate: float = positive(1e-3)
    """Adam's rate for the critic."""
    critic_epochs: int = at_least(1, 20)
    """Passes over the batch for the critic."""
    critic_minibatch_size: int = at_least(1, 128)
    """Rows of a critic step."""

    def algorithm(self, policy_update: Update, **options: Any) -> Algorithm:
        """That update of the policy, with a critic fitted by Adam. `options` are `Algorithm`'s."""
        from surefoot.methods.learners.algorithm import Algorithm

        rate, epochs = self.critic_learning_rate, self.critic_epochs
        critic_update = regression(rate, epochs, self.critic_minibatch_size)
        options = {"discount": self.discount, "gae_lambda": self.gae_lambda, **options}
        return Algorithm(policy_update, critic_update, **options)


def regression(learning_rate: float, epochs: int, minibatch_size: int) -> Update:
    """The critic's update: its likelihood of the value targets, by Adam."""
    from surefoot.core import Epochs, Fixed, Likelihood, Optax, Step
    from surefoot.methods.families.optimizers import adam

    step = Step(Likelihood(), Optax(adam), Fixed(learning_rate))
    return Epochs(step, epochs=epochs, minibatch_size=minibatch_size)

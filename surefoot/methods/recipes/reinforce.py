"""Vanilla policy gradients: the score-function gradient, a step of fixed or of adapted rate."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from surefoot.common.fields import at_least, check_between, fraction, positive
from surefoot.methods.families.actor_critic import ActorCritic, regression
from surefoot.methods.families.base import Composition, OnPolicy

if TYPE_CHECKING:
    from surefoot.methods.learners.algorithm import Algorithm


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reinforce(OnPolicy):
    """REINFORCE: one Adam step a batch along ∇log π·(G − b), G the return, b a learned
    baseline."""

    parts = Composition("Score", "Optax(adam)", "Fixed", "–", "Williams 1992")

    num_envs: int = at_least(1, 2)
    horizon: int = at_least(1, 1024)
    discount: float = fraction(0.99)
    """γ, the discount."""
    learning_rate: float = positive(3e-3)
    """Adam's rate."""
    baseline: bool = True
    """Subtract a learned value from the return. Without it, rows of episodes that do not end within
    the batch count for nothing, so the horizon must hold whole episodes."""
    critic_learning_rate: float = positive(1e-3)
    """Adam's rate for the baseline."""
    critic_epochs: int = at_least(1, 10)
    """Passes over the batch for the baseline."""
    critic_minibatch_size: int = at_least(1, 128)
    """Rows of a baseline step."""

    def build(self) -> Algorithm:
        from surefoot.core import Fixed, Optax, Score, Step
        from surefoot.methods.families.optimizers import adam
        from surefoot.methods.learners.algorithm import Algorithm

        rate, epochs = self.critic_learning_rate, self.critic_epochs
        critic = regression(rate, epochs, self.critic_minibatch_size) if self.baseline else None
        step = Step(Score(), Optax(adam), Fixed(self.learning_rate))
        return Algorithm(step, critic, discount=self.discount, gae_lambda=1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VPGAdaptive(ActorCritic):
    """Vanilla policy gradient, one Adam step a batch, whose rate halves after too large a KL and
    doubles after too small a one."""

    parts = Composition("Score", "Optax(adam)", "Fixed(rate)", "AdaptKL(rate)", "Duan et al. 2016")
    step_kl = "target_kl"

    learning_rate: float = positive(3e-3)
    """Adam's rate at the start."""
    min_learning_rate: float = positive(1e-5)
    """The rate never falls below this."""
    max_learning_rate: float = positive(0.1)
    """The rate never rises above this."""
    target_kl: float = positive(0.01)
    """KL(old‖new) that a step should have, nats."""

    def build(self) -> Algorithm:
        from surefoot.core import AdaptKL, Fixed, Optax, Score, Step
        from surefoot.methods.families.optimizers import adam

        low, high = self.min_learning_rate, self.max_learning_rate
        check_between("learning_rate", self.learning_rate, low, high)
        step = Step(Score(), Optax(adam), Fixed(self.learning_rate))
        held = AdaptKL(step, "rate", target=self.target_kl, factor=0.5, low=low, high=high)
        return self.algorithm(held)

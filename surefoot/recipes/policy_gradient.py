"""Vanilla policy gradients: the score-function gradient and a step of fixed rate."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from surefoot.config import at_least, minibatch, positive
from surefoot.recipes.base import Recipe, Row, regression

if TYPE_CHECKING:
    from surefoot.algorithm import Algorithm


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reinforce(Recipe):
    """REINFORCE: one Adam step a batch along ∇log π·G, G the Monte-Carlo return, less a learned
    baseline if asked for."""

    parts: ClassVar[Row] = Row("Score", "Optax(adam)", "Fixed", "–", "Williams 1992")

    learning_rate: float = positive(3e-3)
    """Adam's rate."""
    baseline: bool = False
    """Subtract a learned value from the return. Without it, rows of episodes that do not end within
    the batch count for nothing, so the horizon must hold whole episodes."""
    critic_learning_rate: float = positive(1e-3)
    """Adam's rate for the baseline."""
    critic_epochs: int = at_least(1, 10)
    """Passes over the batch for the baseline."""
    critic_minibatch_size: int = minibatch(128, only_if="baseline")
    """Rows of a baseline step; must divide horizon × num_envs."""

    def build(self) -> Algorithm:
        import optax

        from surefoot import Algorithm, Fixed, Optax, Score, Step

        critic = regression(
            self.critic_learning_rate, self.critic_epochs, self.critic_minibatch_size
        )
        return Algorithm(
            Step(Score(), Optax(optax.adam(1.0)), Fixed(self.learning_rate)),
            critic if self.baseline else None,
            discount=self.discount,
            gae_lambda=1.0,
        )

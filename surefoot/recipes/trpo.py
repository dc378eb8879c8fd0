"""TRPO: the natural gradient plus a line search (Schulman et al. 2015)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from surefoot.config import at_least, fraction, minibatch, nonnegative, positive
from surefoot.recipes.base import Recipe, Row, regression

if TYPE_CHECKING:
    from surefoot.algorithm import Algorithm


@dataclasses.dataclass(frozen=True, kw_only=True)
class TRPO(Recipe):
    """TRPO: natural gradient, scaled to the edge of a KL ball, then shortened until the measured
    KL is within the ball and the surrogate does not fall."""

    parts: ClassVar[Row] = Row(
        "Surrogate", "Fisher(CG)", "Backtrack(KLBall(δ), max_kl=δ)", "–", "Schulman et al. 2015"
    )

    max_kl: float = positive(0.01)
    """δ, the largest mean KL(old‖new) of a step, nats."""
    cg_steps: int = at_least(1, 10)
    """Conjugate-gradient iterations."""
    damping: float = nonnegative(0.1)
    """λ in (F + λI) d = g; shapes the direction, not the length."""
    decay: float = fraction(0.8, zero=False)
    """Factor between two tries of the line search."""
    tries: int = at_least(1, 10)
    """Tries of the line search before the step is given up."""
    gae_lambda: float = fraction(0.95)
    """λ of generalized advantage estimation."""
    critic_learning_rate: float = positive(1e-3)
    """Adam's rate for the critic."""
    critic_epochs: int = at_least(1, 10)
    """Passes over the batch for the critic."""
    critic_minibatch_size: int = minibatch(128)
    """Rows of a critic step; must divide horizon × num_envs."""

    def build(self) -> Algorithm:
        from surefoot import CG, Algorithm, Backtrack, Fisher, KLBall, Step, Surrogate

        return Algorithm(
            Step(
                Surrogate(),
                Fisher(CG(self.cg_steps), damping=self.damping),
                Backtrack(
                    KLBall(self.max_kl), max_kl=self.max_kl, decay=self.decay, tries=self.tries
                ),
            ),
            regression(self.critic_learning_rate, self.critic_epochs, self.critic_minibatch_size),
            discount=self.discount,
            gae_lambda=self.gae_lambda,
        )

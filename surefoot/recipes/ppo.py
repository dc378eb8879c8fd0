"""Proximal policy optimization: many first-order steps on an objective that does not reward moving
far (Schulman et al. 2017)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from surefoot.config import at_least, fraction, minibatch, nonnegative, positive
from surefoot.recipes.base import Recipe, Row, regression

if TYPE_CHECKING:
    from surefoot.algorithm import Algorithm


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOClip(Recipe):
    """PPO with the clipped objective: Adam on min(r Â, clip(r, 1 − ε, 1 + ε) Â), several passes
    over each batch, the rate falling linearly to zero."""

    parts: ClassVar[Row] = Row(
        "Clipped(ε)", "Optax(adam)", "Fixed(linear)", "Epochs", "Schulman et al. 2017"
    )

    learning_rate: float = positive(3e-4)
    """Adam's rate at the start; falls linearly to 0 over the run."""
    clip: float = positive(0.2)
    """ε: beyond 1 ± ε the probability ratio earns nothing."""
    epochs: int = at_least(1, 10)
    """Passes over the batch for the policy."""
    minibatch_size: int = minibatch(64)
    """Rows of a policy step; must divide horizon × num_envs."""
    entropy_coefficient: float = nonnegative(0.0)
    """Weight of the entropy bonus."""
    max_grad_norm: float = positive(0.5)
    """Global norm to which the policy's gradient is clipped."""
    gae_lambda: float = fraction(0.95)
    """λ of generalized advantage estimation."""
    critic_learning_rate: float = positive(1e-3)
    """Adam's rate for the critic."""
    critic_epochs: int = at_least(1, 10)
    """Passes over the batch for the critic."""
    critic_minibatch_size: int = minibatch(64)
    """Rows of a critic step; must divide horizon × num_envs."""

    def build(self) -> Algorithm:
        import optax

        from surefoot import Algorithm, Clipped, EntropyBonus, Epochs, Fixed, Optax, Step, linear

        adam = optax.chain(optax.clip_by_global_norm(self.max_grad_norm), optax.adam(1.0, eps=1e-5))
        step = Step(
            EntropyBonus(Clipped(self.clip), self.entropy_coefficient),
            Optax(adam),
            Fixed(self.learning_rate, linear),
        )
        return Algorithm(
            Epochs(step, epochs=self.epochs, minibatch_size=self.minibatch_size),
            regression(self.critic_learning_rate, self.critic_epochs, self.critic_minibatch_size),
            discount=self.discount,
            gae_lambda=self.gae_lambda,
        )

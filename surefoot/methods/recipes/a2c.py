"""Actor-critic: a short batch and one first-order step, free or within a trust region."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from surefoot.common.fields import at_least, fraction, nonnegative, positive
from surefoot.methods.families.actor_critic import ActorCritic
from surefoot.methods.families.base import Composition

if TYPE_CHECKING:
    from surefoot.core.objectives import Objective
    from surefoot.core.updates import Step
    from surefoot.methods.learners.algorithm import Algorithm


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShortBatch(ActorCritic):
    """What both share: short batches, and how the objective is climbed."""

    num_envs: int = at_least(1, 8)
    horizon: int = at_least(1, 16)
    learning_rate: float = positive(7e-4)
    """RMSprop's rate at the start; falls linearly to 0 over the run."""
    entropy_coefficient: float = nonnegative(0.001)
    """Weight of the entropy bonus."""
    max_grad_norm: float = positive(0.5)
    """Global norm to which the policy's gradient is clipped."""
    critic_epochs: int = at_least(1, 1)

    def first_order_update(self, objective: Objective) -> Step:
        """One step of RMSprop on the objective with its entropy bonus."""
        from surefoot.core import EntropyBonus, Fixed, Optax, Step, schedules
        from surefoot.methods.families.optimizers import clipped_rmsprop

        optimizer = Optax(clipped_rmsprop, max_norm=self.max_grad_norm)
        with_entropy = EntropyBonus(objective, self.entropy_coefficient)
        return Step(with_entropy, optimizer, Fixed(self.learning_rate, schedules.linear))


@dataclasses.dataclass(frozen=True, kw_only=True)
class A2C(ShortBatch):
    """Advantage actor-critic: one RMSprop step a batch along ∇log π·Â, with an entropy bonus."""

    parts = Composition(
        "EntropyBonus(Score)", "Optax(rmsprop)", "Fixed(linear)", "–", "Mnih et al. 2016"
    )

    def build(self) -> Algorithm:
        from surefoot.core import Score

        return self.algorithm(self.first_order_update(Score()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class A2CTrustRegion(ShortBatch):
    """A2C whose gradient in the distribution's parameters is projected, sample by sample, so that
    it does not lead away from an average of the policies."""

    parts = Composition(
        "EntropyBonus(TrustRegionGradient)",
        "Optax(rmsprop)",
        "Fixed(linear)",
        "AveragePolicy",
        "Wang et al. 2016",
    )

    max_kl: float = positive(0.3)
    """δ, bound on the rate kᵀM⁻¹z at which a step may increase KL(average‖policy), nats. Belongs to
    the Fisher metric M; the source's 1 belongs to M = I (see projected_fraction)."""
    average_decay: float = fraction(0.99)
    """Weight of the past in the averaged policy."""

    def build(self) -> Algorithm:
        from surefoot.core import AveragePolicy, TrustRegionGradient

        step = self.first_order_update(TrustRegionGradient(self.max_kl))
        return self.algorithm(AveragePolicy(step, self.average_decay))

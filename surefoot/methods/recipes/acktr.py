"""Natural gradients made cheap: K-FAC instead of a linear solve."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from surefoot.common.fields import at_least, fraction, positive
from surefoot.methods.families.base import Composition, OnPolicy
from surefoot.methods.families.line_searched import LineSearched

if TYPE_CHECKING:
    from surefoot.methods.learners.algorithm import Algorithm


@dataclasses.dataclass(frozen=True, kw_only=True)
class ACKTR(OnPolicy):
    """ACKTR: actor and critic both step along K-FAC's natural gradient, to the edge of a KL ball or
    by the largest scale, whichever is shorter."""

    parts = Composition("Score", "KFAC", "KLBall(δ, max_scale)", "–", "Wu et al. 2017")
    step_kl = "max_kl"

    discount: float = fraction(0.99)
    """γ, the discount."""
    gae_lambda: float = fraction(0.95)
    """λ of generalized advantage estimation."""
    max_kl: float = positive(0.01)
    """δ, the quadratic model's KL(old‖new) of a step, nats."""
    max_scale: float = positive(1.0)
    """Largest factor on the natural gradient."""
    damping: float = positive(0.1)
    """λ in (F + λI) d = g; shapes the direction, not the length."""
    factor_decay: float = fraction(0.95)
    """Weight of the past in K-FAC's averaged factors."""
    critic_max_kl: float = positive(0.01)
    """δ of a critic step: half the mean squared change of V, in scaled reward units squared."""
    critic_epochs: int = at_least(1, 10)
    """Passes over the batch for the critic."""
    critic_minibatch_size: int = at_least(1, 512)
    """Rows of a critic step."""

    def build(self) -> Algorithm:
        from surefoot.core import KFAC, Epochs, KLBall, Likelihood, Score, Step
        from surefoot.methods.learners.algorithm import Algorithm

        geometry = KFAC(self.damping, self.factor_decay)
        actor = Step(Score(), geometry, KLBall(self.max_kl, max_scale=self.max_scale))
        critic = Step(Likelihood(), geometry, KLBall(self.critic_max_kl, max_scale=self.max_scale))
        fit = Epochs(critic, epochs=self.critic_epochs, minibatch_size=self.critic_minibatch_size)
        return Algorithm(actor, fit, discount=self.discount, gae_lambda=self.gae_lambda)


@dataclasses.dataclass(frozen=True, kw_only=True)
class KFACTRPO(LineSearched):
    """TRPO with K-FAC's direction in place of conjugate gradient's."""

    parts = Composition(
        "Surrogate", "KFAC", "Backtrack(KLBall(δ), max_kl=δ)", "–", "Wu et al. 2017"
    )

    damping: float = positive(0.1)
    """λ in (F + λI) d = g; shapes the direction, not the length."""
    factor_decay: float = fraction(0.95)
    """Weight of the past in K-FAC's averaged factors."""

    def build(self) -> Algorithm:
        from surefoot.core import KFAC, Step, Surrogate

        geometry = KFAC(self.damping, self.factor_decay)
        return self.algorithm(Step(Surrogate(), geometry, self.step_size()))

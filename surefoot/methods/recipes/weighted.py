"""Weighted likelihood: the policy imitates what it did, the more the better it turned out."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from surefoot.common.fields import at_least, positive
from surefoot.methods.families.base import Composition
from surefoot.methods.families.proximal import Proximal

if TYPE_CHECKING:
    from surefoot.methods.learners.algorithm import Algorithm


def _row(rule: str, source: str) -> Composition:
    return Composition("Score", "Optax(adam)", "Fixed(linear)", f"Tilt({rule}, Epochs)", source)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RWR(Proximal):
    """Reward-weighted regression: weights are the advantages less the least of them."""

    parts = _row("Positive", "Peters & Schaal 2007")

    def build(self) -> Algorithm:
        from surefoot.core import Positive, Score, Tilt

        return self.algorithm(Tilt(self.first_order_update(Score()), Positive()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class REPS(Proximal):
    """Relative entropy policy search with a learned critic: weights are exp(Â/η), as far from equal
    ones as ε allows."""

    parts = _row("RelativeEntropy(ε)", "Peters et al. 2010")

    max_tilt: float = positive(0.5)
    """ε, the KL of the weights from equal ones, nats."""

    def build(self) -> Algorithm:
        from surefoot.core import RelativeEntropy, Score, Tilt

        fit = self.first_order_update(Score())
        return self.algorithm(Tilt(fit, RelativeEntropy(self.max_tilt)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class AWR(Proximal):
    """Advantage-weighted regression: weights are exp(Â/T), of what the last M policies did."""

    parts = _row("Exponential(T)", "Peng et al. 2019")

    epochs: int = at_least(1, 5)
    minibatch_size: int = at_least(1, 256)
    critic_epochs: int = at_least(1, 2)
    critic_minibatch_size: int = at_least(1, 256)
    reuse: int = at_least(1, 24)
    """M: how many iterations' batches each update learns from, the newest included."""
    temperature: float = positive(1.0)
    """T, in standard deviations of the advantages."""
    max_weight: float = positive(20.0)
    """No weight is larger, before they are divided by their mean."""

    def build(self) -> Algorithm:
        from surefoot.core import Exponential, Score, Tilt

        rule = Exponential(self.temperature, most=self.max_weight)
        tilt = Tilt(self.first_order_update(Score()), rule)
        return self.algorithm(tilt, batches=self.reuse, corrected=False)

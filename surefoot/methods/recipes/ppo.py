"""PPO: many first-order steps on an objective that does not reward moving far."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from surefoot.common.fields import check_between, positive
from surefoot.methods.families.base import Composition
from surefoot.methods.families.proximal import Proximal

if TYPE_CHECKING:
    from surefoot.methods.learners.algorithm import Algorithm


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOClip(Proximal):
    """PPO with the clipped objective: Adam on min(r Â, clip(r, 1 − ε, 1 + ε) Â), several passes
    over each batch, the rate falling linearly to zero."""

    parts = Composition(
        "Clipped(ε)", "Optax(adam)", "Fixed(linear)", "Epochs", "Schulman et al. 2017"
    )

    clip: float = positive(0.2)
    """ε: beyond 1 ± ε the probability ratio earns nothing."""

    def build(self) -> Algorithm:
        from surefoot.core import Clipped

        return self.algorithm(self.first_order_update(Clipped(self.clip)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SPO(Proximal):
    """Simple Policy Optimization: PPO-Clip with another objective, r Â − |Â|/(2ε)·(r − 1)², which
    leads back where that of PPO-Clip has no gradient."""

    parts = Composition(
        "RatioPenalized(ε)", "Optax(adam)", "Fixed(linear)", "Epochs", "Xie et al. 2025"
    )

    clip: float = positive(0.2)
    """ε: the objective of a sample is largest where its probability ratio is 1 ± ε."""

    def build(self) -> Algorithm:
        from surefoot.core import RatioPenalized

        return self.algorithm(self.first_order_update(RatioPenalized(self.clip)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOAdaptiveLR(Proximal):
    """PPO-Clip whose Adam rate follows the KL: after each batch's passes it falls by a third where
    the KL was above twice its target, and rises by half where it was below half of it."""

    parts = Composition(
        "Clipped(ε)", "Optax(adam)", "Fixed(rate)", "AdaptKL(rate, Epochs)", "Rudin et al. 2022"
    )
    step_kl = "target_kl"

    learning_rate: float = positive(3e-4)
    """Adam's rate at the start."""
    min_learning_rate: float = positive(1e-5)
    """The rate never falls below this."""
    max_learning_rate: float = positive(1e-2)
    """The rate never rises above this."""
    target_kl: float = positive(0.01)
    """KL(old‖new) that a batch's passes should have, nats."""
    clip: float = positive(0.2)
    """ε: beyond 1 ± ε the probability ratio earns nothing."""

    def build(self) -> Algorithm:
        from surefoot.core import AdaptKL, Clipped, schedules

        low, high = self.min_learning_rate, self.max_learning_rate
        check_between("learning_rate", self.learning_rate, low, high)
        epochs = self.first_order_update(Clipped(self.clip), schedules.constant)
        numbers = {"target": self.target_kl, "factor": 1 / 1.5, "low": low, "high": high}
        return self.algorithm(AdaptKL(epochs, "rate", **numbers, band=2.0))

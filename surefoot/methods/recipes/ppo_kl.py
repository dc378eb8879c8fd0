"""PPO with a penalty on the KL instead of a clipped objective (Schulman et al. 2017)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from surefoot.common.fields import check_between, positive
from surefoot.methods.families.base import Composition
from surefoot.methods.families.proximal import Proximal

if TYPE_CHECKING:
    from surefoot.methods.learners.algorithm import Algorithm


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOKL(Proximal):
    """PPO with an adaptive penalty: Adam on r Â − β KL(old‖new), several passes over each batch;
    after each batch, β doubles where the KL was too large and halves where it was too small."""

    parts = Composition(
        "KLPenalized(Surrogate, β)",
        "Optax(adam)",
        "Fixed(linear)",
        "AdaptKL(β, Epochs)",
        "Schulman et al. 2017",
    )
    step_kl = "target_kl"

    beta: float = positive(1.0)
    """β at the start, in units of the standardized advantage per nat."""
    min_beta: float = positive(0.01)
    """β never falls below this."""
    max_beta: float = positive(1000.0)
    """β never rises above this."""
    target_kl: float = positive(0.01)
    """KL(old‖new) that a batch's passes should have, nats."""
    kl_direction: Literal["old_new", "new_old"] = "old_new"
    """The KL of the penalty: old_new: KL(old‖new); new_old: KL(new‖old)."""

    def build(self) -> Algorithm:
        from surefoot.core import AdaptKL, KLPenalized, Surrogate

        low, high = self.min_beta, self.max_beta
        check_between("beta", self.beta, low, high)
        epochs = self.first_order_update(
            KLPenalized(Surrogate(), self.beta, kl_direction=self.kl_direction)
        )
        return self.algorithm(
            AdaptKL(epochs, "beta", target=self.target_kl, factor=2.0, low=low, high=high)
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOFixedKL(Proximal):
    """PPO with a constant penalty: Adam on r Â − β KL(old‖new), several passes over each batch."""

    parts = Composition(
        "KLPenalized(Surrogate, β)",
        "Optax(adam)",
        "Fixed(linear)",
        "Epochs",
        "Schulman et al. 2017",
    )

    beta: float = positive(3.0)
    """β, in units of the standardized advantage per nat."""

    def build(self) -> Algorithm:
        from surefoot.core import KLPenalized, Surrogate

        return self.algorithm(self.first_order_update(KLPenalized(Surrogate(), self.beta)))

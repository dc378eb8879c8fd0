"""PPO-Clip that learns from the last few batches, not from the newest alone."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from surefoot.common.fields import at_least, fraction, positive
from surefoot.methods.families.base import Composition
from surefoot.methods.families.proximal import Proximal

if TYPE_CHECKING:
    from surefoot.methods.learners.algorithm import Algorithm


@dataclasses.dataclass(frozen=True, kw_only=True)
class GePPO(Proximal):
    """Generalized PPO: the last M batches, of half the size, each row by its ratio to the policy
    that acted, clipped around what that is before the update."""

    parts = Composition(
        "Clipped(2ε/(M+1))",
        "Optax(adam)",
        "Fixed(linear)",
        "LimitTV(rate, Epochs)",
        "Queeney et al. 2021",
    )

    horizon: int = at_least(1, 128)
    minibatch_size: int = at_least(1, 96)
    critic_minibatch_size: int = at_least(1, 96)
    reuse: int = at_least(1, 3)
    """M: how many iterations' batches each update learns from, the newest included."""
    clip: float = positive(0.2)
    """ε of one batch; of M batches it is 2ε/(M+1), so that as many iterations move as far."""
    rate_factor: float = fraction(0.97, zero=False)
    """Factor on Adam's rate whenever an update's total variation is above half of its ε; 1: none.
    """

    def build(self) -> Algorithm:
        from surefoot.core import Clipped, LimitTV, Update

        clip = self.clip * 2 / (self.reuse + 1)
        update: Update = self.first_order_update(Clipped(clip))
        if self.rate_factor < 1:
            update = LimitTV(update, "rate", limit=clip / 2, factor=self.rate_factor)
        return self.algorithm(update, batches=self.reuse)

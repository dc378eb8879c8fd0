"""V-MPO: weighted likelihood of the better half, held by a penalty on the KL (Song et al. 2020)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from surefoot.common.fields import fraction, positive
from surefoot.methods.families.base import Composition
from surefoot.methods.families.proximal import Proximal

if TYPE_CHECKING:
    from surefoot.methods.learners.algorithm import Algorithm


@dataclasses.dataclass(frozen=True, kw_only=True)
class VMPO(Proximal):
    """V-MPO: weights are exp(Â/η) for the better half of the rows, and a penalty whose coefficient
    follows the KL holds the policy near the one that acted."""

    parts = Composition(
        "KLPenalized(Score, β)",
        "Optax(adam)",
        "Fixed(linear)",
        "Tilt(RelativeEntropy(ε, top), AdaptKL(β, Epochs))",
        "Song et al. 2020",
    )
    step_kl = "target_kl"

    max_tilt: float = positive(0.1)
    """ε, the KL of the weights from equal ones among the rows that have weight, nats."""
    top: float = fraction(0.5, zero=False)
    """Fraction of the rows, those with the highest advantages, that have weight."""
    target_kl: float = positive(0.01)
    """KL(old‖new) that an iteration should have, nats."""
    beta: float = positive(1.0)
    """Coefficient of the KL penalty at the start."""

    def build(self) -> Algorithm:
        from surefoot.core import AdaptKL, KLPenalized, RelativeEntropy, Score, Tilt

        fit = self.first_order_update(KLPenalized(Score(), self.beta))
        held = AdaptKL(fit, "beta", target=self.target_kl, factor=2.0, low=1e-4, high=1e4)
        return self.algorithm(Tilt(held, RelativeEntropy(self.max_tilt, top=self.top)))

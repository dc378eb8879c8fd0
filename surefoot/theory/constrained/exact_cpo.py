"""Constrained policy optimization's problem, solved exactly on a table (Achiam et al. 2017).

    max_π′ L_π(π′)  subject to  J_C(π) + L^C_π(π′) ≤ d,  E_{s~d^π} KL(π‖π′)[s] ≤ δ

With a price ν on the cost it is TRPO's problem with A − ν A_C in the place of A, whose optimum is
exact (`exact_trpo`); the cost of that optimum falls as ν rises, and the smallest ν ≥ 0 at which the
limit is met is the multiplier. Where no ν meets it, the step is the recovery: TRPO's with −A_C.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.optimize

from surefoot.common.fields import positive, validate
from surefoot.theory.constrained.constrained_mdp import ConstrainedEvaluation
from surefoot.theory.tabular.bounds import surrogate
from surefoot.theory.tabular.divergences import Policies
from surefoot.theory.tabular.exact_trpo import TRPO


@dataclasses.dataclass(frozen=True, kw_only=True)
class CPO:
    """The optimum for δ = `max_kl` nats and one limit on the discounted cost."""

    max_kl: float = positive(0.01)

    def __post_init__(self) -> None:
        validate(self)

    def __call__(self, old: ConstrainedEvaluation, limit: float) -> tuple[Policies, float]:
        """(π′, the multiplier ν of the limit; infinite in a recovery)."""
        (cost,) = old.costs

        def best(advantage: Policies) -> Policies:
            # Where an action has all but vanished, a slope is infinite.
            with np.errstate(divide="ignore"):
                return TRPO(max_kl=self.max_kl)(old.reward._replace(A=advantage))[0]

        def priced(price: float) -> Policies:
            return best(old.reward.A - price * cost.A)

        def above(policy: Policies) -> float:
            return float(cost.J + surrogate(cost, policy) - limit)

        free = priced(0.0)
        if above(free) <= 0:
            return free, 0.0
        recovery = best(-cost.A)
        if above(recovery) > 0:
            return recovery, np.inf
        low, high = 0.0, 1.0
        while above(priced(high)) > 0 and high < 1e12:
            low, high = high, 2 * high
        price = float(
            scipy.optimize.brentq(lambda x: above(priced(x)), low, high, xtol=1e-12, rtol=1e-10)
        )
        # Of the two sides of the root, the one within the limit.
        price = price if above(priced(price)) <= 0 else min(high, price * (1 + 1e-8))
        return priced(price), price

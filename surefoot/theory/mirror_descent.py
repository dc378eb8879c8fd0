"""Policy mirror descent on tables, beside the trust region (Xiao 2022, "On the convergence rates of
policy gradient methods"; Cen et al. 2022).

    π′(·|s) = argmax_p η ⟨Q(s, ·), p⟩ − KL(p‖π(·|s)),   that is   π′ ∝ π exp(η Q(s, ·)):

the natural gradient of a softmax policy, with a rate η in the place of a radius δ. Where η grows as
1/γ in every iteration, J* − J falls by the factor γ in each.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float

from surefoot.common.fields import positive, validate
from surefoot.theory.tabular.divergences import Policies
from surefoot.theory.tabular.mdp import PolicyEvaluation, TabularMDP


@dataclasses.dataclass(frozen=True, kw_only=True)
class MirrorDescent:
    """One step, of rate η = `rate` per unit of return."""

    rate: float = positive(1.0)

    def __post_init__(self) -> None:
        validate(self)

    def __call__(self, old: PolicyEvaluation) -> Policies:
        """π′."""
        # The largest exponent is 0: nothing overflows, whatever the rate.
        exponent = self.rate * (old.A - old.A.max(axis=-1, keepdims=True))
        new = old.policy * np.exp(exponent)
        total = new.sum(axis=-1, keepdims=True)
        # Where the better actions have no probability to grow from, nothing changes.
        policy: Policies = np.where(total > 0, new / np.where(total > 0, total, 1.0), old.policy)
        return policy


def mirror_descent(
    mdp: TabularMDP, iterations: int, *, rate: float = 1.0
) -> tuple[Policies, Float[np.ndarray, " iterations"]]:
    """(the last policy, J of the policy before each iteration), from the uniform policy on, with
    the rates `rate`, `rate`/γ, `rate`/γ², …"""
    policy, J = np.full(mdp.R.shape, 1 / mdp.actions), []
    for _ in range(iterations):
        old = mdp.evaluate(policy)
        J.append(float(old.J))
        policy = MirrorDescent(rate=min(rate, 1e300))(old)
        rate /= max(mdp.discount, 1e-12)
    return policy, np.array(J)

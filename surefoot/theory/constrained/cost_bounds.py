"""What one policy's data says of another policy's cost, with every constant told (Achiam et al.
2017, Corollary 2 and Propositions 1, 2)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from surefoot.theory.tabular.bounds import kl_bound
from surefoot.theory.tabular.mdp import PolicyEvaluation

Scalars = Float[np.ndarray, "*batch"]


class CostBound(NamedTuple):
    """J_C(π′) − J_C(π) ≤ `rise` = `surrogate` + `penalty`."""

    rise: Scalars
    """The most that the cost rises by, in its own unit."""
    surrogate: Scalars
    """L^C_π(π′)."""
    penalty: Scalars
    """√2 γ ε_C/(1−γ)² √(E_d^π KL), ε_C = max_s |E_{a~π′} A_C(s, a)|."""


def cost_bound(old: PolicyEvaluation, policy: Any) -> CostBound:
    """Of the evaluation of a cost under π. The bound on the return, negated: a cost is a reward
    that is to be small."""
    bound = kl_bound(old, policy)
    return CostBound(bound.surrogate + bound.penalty, bound.surrogate, bound.penalty)


def worst_step(epsilon: Scalars, discount: float, max_kl: float) -> Scalars:
    """√(2δ) γ ε/(1−γ)²: by how much the return may fall, or the cost lie above its limit, after a
    step of constrained policy optimization with a mean KL of δ, ε being that of the return's bound
    or of the cost's."""
    root: Scalars = np.sqrt(2 * max_kl) * discount * epsilon / (1 - discount) ** 2
    return root

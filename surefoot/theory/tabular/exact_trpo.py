"""The trust-region problem of TRPO, solved exactly on a table by its dual.

    max_π′ L_π(π′)  subject to  E_{s~d^π} KL(π‖π′)[s] ≤ δ

With a multiplier β for the constraint and ν_s for Σ_a π′ = 1, every state with d^π(s) > 0 has

    π′(a|s) = β π(a|s) / (ν_s − A(s, a)),

ν_s ≥ max_a A(s, a) from its own normalization, β from the constraint, one for all. If the best
action has π = 0, ν_s can equal its advantage; that action then takes the mass that is left, since
KL(π‖π′) does not count it.

Every state's expected advantage rises, so that J does, at any δ: a fact of tables, and no theorem
on TRPO.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float

from surefoot.common.fields import positive, validate
from surefoot.theory.tabular.divergences import Policies, expected
from surefoot.theory.tabular.mdp import PolicyEvaluation
from surefoot.theory.tabular.softmax import normalized
from surefoot.theory.tabular.univariate import increasing_root

Scalars = Float[np.ndarray, "*batch"]
PerState = Float[np.ndarray, "*batch S"]

#: log of the smallest β considered, in units of the largest gap between advantages. A constraint
#: that does not bind there never will: the policy is greedy already, up to e^−100.
_LOG_SMALLEST = -100.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class TRPO:
    """The optimum for δ = `max_kl` nats (Schulman et al. 2015). Its step is √(2 E KL(π‖π′)), the
    length that the Fisher metric gives a small one; √(2δ) where the constraint binds."""

    max_kl: float = positive(0.01)

    def __post_init__(self) -> None:
        validate(self)

    def __call__(self, old: PolicyEvaluation) -> tuple[Policies, Scalars]:
        gap = old.A.max(axis=-1, keepdims=True) - old.A
        moves = (old.d > 0) & (np.where(old.policy > 0, gap, 0.0).max(axis=-1) > 0)
        scale = np.where(moves[..., None], gap, 0.0).max(axis=(-2, -1))
        unit = np.where(scale > 0, scale, 1.0)[..., None, None]
        dual = _Dual(old.policy, gap / unit, np.where(moves, old.d, 0.0))

        def slack(log_beta: Scalars) -> tuple[Scalars, Scalars]:
            divergence, slope = dual.divergence(log_beta)
            # Logarithms: nearly linear in log β from the smallest steps to the largest.
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.log(self.max_kl / divergence), -slope / divergence

        variance = expected(dual.d, (old.policy * (old.A / unit) ** 2).sum(axis=-1))
        start = 0.5 * np.log(np.maximum(variance, 1e-300) / (2 * self.max_kl))
        low = np.full_like(start, _LOG_SMALLEST)
        high = np.full_like(start, 20.0 + max(0.0, -np.log(self.max_kl)))
        log_beta = increasing_root(slack, start, low, high)
        policy = np.where(moves[..., None], dual.policy(log_beta), old.policy)
        return policy, np.sqrt(2 * dual.divergence(log_beta)[0])


class _Dual:
    """π′ as a function of β. With g(s, a) = max A − A ≥ 0 and v_s = (ν_s − max A)/β,
    π′ = π/(v + g/β), where v solves Σ_a π/(v + g/β) = 1, or is 0 where that sum is always below."""

    def __init__(self, policy: Policies, gap: Policies, d: PerState) -> None:
        self.gap, self.d = gap, d
        self.old = np.where(policy > np.finfo(float).tiny, policy, 0.0)
        self._best = np.where(gap == 0, self.old, 0.0).sum(axis=-1)

    def policy(self, log_beta: Scalars) -> Policies:
        """π′."""
        v, below = self._solve(log_beta)
        new = self.old / below
        greedy = np.eye(self.gap.shape[-1])[self.gap.argmin(axis=-1)]
        left = np.where(v > 0, 0.0, np.maximum(1 - new.sum(axis=-1), 0.0))
        new = new + left[..., None] * greedy
        return normalized(new, self.old > 0)

    def divergence(self, log_beta: Scalars) -> tuple[Scalars, Scalars]:
        """E_d KL(π‖π′) and its derivative with respect to log β."""
        v, below = self._solve(log_beta)
        divergence = expected(self.d, (self.old * np.log(below)).sum(axis=-1))
        # dν/dβ by the implicit function theorem; 0 where ν = max A whatever β is.
        slope = np.where(v > 0, 1 / (self.old / below**2).sum(axis=-1), 0.0)
        return np.maximum(divergence, 0.0), expected(self.d, slope - 1)

    def _solve(self, log_beta: Scalars) -> tuple[PerState, Policies]:
        """(v, v + g/β), the latter 1 where π is 0. Newton's method on the harmonic mean
        1/Σ π/(v + g/β) = 1, concave in v: from the left it never passes the root, and is nearly
        exact at once."""
        gap = self.gap * np.exp(-log_beta)[..., None, None]
        v = self._best
        for _ in range(100):
            below = np.where(self.old > 0, v[..., None] + gap, 1.0)
            new = self.old / below
            total = new.sum(axis=-1)
            step = np.maximum((total - 1) * total / (new / below).sum(axis=-1), 0.0)
            v = v + step
            if (step <= 1e-14 * v).all():
                break
        return v, np.where(self.old > 0, v[..., None] + gap, 1.0)

"""Exponential tilts of a policy by its own advantages, π′ ∝ π exp(λ_s A), one λ_s ≥ 0 a state.

Among the policies with a given E_{a~π′} A^π(s, a) ≥ 0 in a state, a tilt has the least KL(π′‖π): a
step that is paid for in that divergence is one of these.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from surefoot.theory.tabular.divergences import Policies, expected, kl
from surefoot.theory.tabular.mdp import PolicyEvaluation
from surefoot.theory.tabular.softmax import tilted
from surefoot.theory.tabular.univariate import increasing_root

Scalars = Float[np.ndarray, "*batch"]
PerState = Float[np.ndarray, "*batch S"]
Bools = Bool[np.ndarray, "*batch S"]


class Tilts:
    """The tilts of one policy, or of a batch. Advantages are in units of max |A^π|, λ in units of
    its inverse; states that d^π never visits stay as they are."""

    def __init__(self, old: PolicyEvaluation) -> None:
        scale = np.abs(old.A).max(axis=(-2, -1), keepdims=True)
        self.policy, self.d = old.policy, old.d
        self.A = np.where(old.d[..., None] > 0, old.A / np.where(scale > 0, scale, 1.0), 0.0)

    def at(self, lam: PerState) -> Policies:
        """π′ for λ [*batch, S]."""
        return tilted(self.policy, lam[..., None] * self.A)

    def mean(self, policy: Policies) -> PerState:
        """E_{a~π′} A."""
        return (policy * self.A).sum(axis=-1)

    def divergence(self, policy: Policies) -> Scalars:
        """E_{s~d^π} KL(π′‖π)[s], nats."""
        return expected(self.d, kl(policy, self.policy))

    def reaching(
        self, mean: Scalars, where: Bools, start: PerState, most: PerState
    ) -> tuple[PerState, PerState]:
        """(λ, derivative of E_{a~π′} A with respect to it) with E_{a~π′} A = `mean` in the states
        `where` the tilt `most` reaches that; (`most`, 1) elsewhere. Looked for from `start`."""
        slope = np.ones_like(most)

        def excess(lam: PerState) -> tuple[PerState, PerState]:
            nonlocal slope
            policy = self.at(lam)
            reached = self.mean(policy)
            variance = (policy * (self.A - reached[..., None]) ** 2).sum(axis=-1)
            slope = np.where(where, variance, 1.0)
            return np.where(where, reached - mean[..., None], 0.0), slope

        start = np.where(where, start, most)
        lam = increasing_root(excess, start, np.zeros_like(most), most)
        return lam, slope

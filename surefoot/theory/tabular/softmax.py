"""Gradient ascent on the logits of a softmax policy, θ[s, a] with π ∝ exp θ.

With the gradient (1/(1−γ)) d(s) π(a|s) A(s, a) and the Fisher matrix, block diagonal with
d(s) (diag π − ππᵀ), the natural gradient is A/(1−γ): F's generalized inverse takes out d and π. In
both, a policy stands for its own logits, θ = log π, and actions of probability zero keep it. Both
steps weigh an action up where A > 0 and down where A < 0, so that every state's expected advantage
rises, and J with it, at any length: a fact of tables, as for `TRPO`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool, Float

from surefoot.common.fields import at_least, fraction, positive, validate
from surefoot.theory.tabular.bounds import surrogate
from surefoot.theory.tabular.divergences import Policies, expected, kl
from surefoot.theory.tabular.mdp import PolicyEvaluation

Scalars = Float[np.ndarray, "*batch"]


def tilted(policy: Policies, logits: Float[np.ndarray, "*batch S A"]) -> Policies:
    """π exp(logits), normalized: the softmax policy whose logits have moved by that much."""
    logits = np.where(policy > 0, logits, -np.inf)
    weights = policy * np.exp(logits - logits.max(axis=-1, keepdims=True))
    return normalized(weights, policy > 0)


def normalized(
    weights: Float[np.ndarray, "*batch S A"], support: Bool[np.ndarray, "*batch S A"]
) -> Policies:
    """Weights divided by their sum, none on the support below 1e-300: an action that fell out of it
    by underflow would be infinitely far away, and could never come back."""
    weights = np.where(support, np.maximum(weights, 1e-300), weights)
    return weights / weights.sum(axis=-1, keepdims=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolicyGradient:
    """θ + α ∇J (Sutton et al. 2000), α = `learning_rate`. Its step is the Euclidean length of the
    change of θ."""

    learning_rate: float = positive(1.0)

    def __post_init__(self) -> None:
        validate(self)

    def __call__(self, old: PolicyEvaluation) -> tuple[Policies, Scalars]:
        gradient = old.d[..., None] * old.policy * old.A / (1 - old.discount)
        change = self.learning_rate * gradient
        return tilted(old.policy, change), np.sqrt((change**2).sum(axis=(-2, -1)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class NaturalGradient:
    """θ + α F⁻¹∇J (Kakade 2001), α = √(2δ/gᵀF⁻¹g) with δ = `max_kl`, shortened by `decay` until the
    surrogate does not fall and E_{d^π} KL(old‖new) ≤ δ, as TRPO's line search does it (Schulman et
    al. 2015); after `tries` it stands still. Its step is α."""

    max_kl: float = positive(0.01)
    decay: float = fraction(0.8, zero=False)
    tries: int = at_least(1, 10)

    def __post_init__(self) -> None:
        validate(self)

    def __call__(self, old: PolicyEvaluation) -> tuple[Policies, Scalars]:
        direction = np.where(old.d[..., None] > 0, old.A, 0.0) / (1 - old.discount)
        curvature = expected(old.d, (old.policy * direction**2).sum(axis=-1))
        full = np.sqrt(2 * self.max_kl / np.where(curvature > 0, curvature, np.inf))
        policy, length = old.policy, np.zeros_like(full)
        for backtracks in range(self.tries):
            alpha = full * self.decay**backtracks
            trial = tilted(old.policy, alpha[..., None, None] * direction)
            divergence = expected(old.d, kl(old.policy, trial))
            passes = (surrogate(old, trial) >= 0) & (divergence <= self.max_kl)
            taken = passes & (length == 0)
            policy = np.where(taken[..., None, None], trial, policy)
            length = np.where(taken, alpha, length)
        return policy, length

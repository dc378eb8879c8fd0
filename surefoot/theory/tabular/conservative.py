"""Conservative policy iteration: a mixture with the greedy policy."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float

from surefoot.theory.tabular.bounds import largest_mean_advantage, mean_advantage
from surefoot.theory.tabular.divergences import Policies, expected
from surefoot.theory.tabular.mdp import PolicyEvaluation


@dataclasses.dataclass(frozen=True)
class ConservativeIteration:
    """(1−α) π + α π_greedy with α = min(1, (1−γ) 𝔸/(4γε)), where 𝔸 = E_{s~d^π, a~greedy}[A^π] and
    ε = max_s |E_{a~greedy}[A^π]| (Kakade & Langford 2002): the α that maximizes the lower bound
    α 𝔸/(1−γ) − 2γεα²/(1−γ)² of the rise of J. Its step is α."""

    def __call__(self, old: PolicyEvaluation) -> tuple[Policies, Float[np.ndarray, "*batch"]]:
        greedy = np.eye(old.A.shape[-1])[old.A.argmax(axis=-1)]
        advantage = expected(old.d, mean_advantage(old, greedy))
        worst = 4 * old.discount * largest_mean_advantage(old, greedy)
        best = (1 - old.discount) * advantage
        alpha = np.where(best < worst, best / np.where(worst > 0, worst, 1.0), best > 0)
        alpha = np.maximum(alpha, 0.0)
        mixed = (1 - alpha[..., None, None]) * old.policy + alpha[..., None, None] * greedy
        return mixed, alpha

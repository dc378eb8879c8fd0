"""The update that cannot lower J: argmax over π′ of L_π(π′) − C(π′) √(E_{s~d^π} KL(π′‖π)[s]).

By the bound of Achiam et al. (2017) the objective's value is one that J rises by at least, and π
itself has the value 0. C(π′) = c ε(π′) with c = √2 γ/(1−γ)² and ε(π′) = max_s |E_{a~π′} A^π(s, a)|.

The product ε √K, with K = E KL, is the minimum over ρ > 0 of (ρ ε² + K/ρ)/2. So the objective is
the maximum over ρ of

    L_π(π′) − (c/2) (ρ t² + K(π′)/ρ),  |E_{a~π′} A^π(s, a)| ≤ t,

which is jointly concave in π′ and the ceiling t. Its optimum tilts every state, π′ ∝ π exp(λ_s A),
by the same λ = 2ρ/(c (1−γ)) unless the ceiling is in the way: λ_s = min(λ, τ_s(t)) with τ_s(t) the
tilt at which E_{a~π′} A = t. The ceiling solves

    Σ_s d(s) [1 − τ_s(t)/λ]₊ = λ t γ²/(1−γ)²,

the left side of which falls in t. For given π′ the best ρ is √K/ε. The two are taken in turn;
neither lowers the objective. It is not concave in all three, and has many maxima where the
advantages of different states differ by orders of magnitude: a grid over λ and t says where to
begin.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float

from surefoot.theory.tabular.divergences import Policies, kl
from surefoot.theory.tabular.mdp import PolicyEvaluation
from surefoot.theory.tabular.tilting import Tilts
from surefoot.theory.tabular.univariate import increasing_root

Scalars = Float[np.ndarray, "*batch"]
PerState = Float[np.ndarray, "*batch S"]
Grid = Float[np.ndarray, "G *batch"]
GridPerState = Float[np.ndarray, "G *batch S"]

#: Points of the grid in λ, and in t; rounds of taking λ and π′ in turn; the relative change of λ
#: that ends them.
_GRID, _ROUNDS, _SETTLED = 48, 50, 1e-5
#: λ in units of 1/max |A| from which on a policy is greedy.
_GREEDY = 1e6
#: A gain that is a smaller share of the surrogate is rounding.
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Penalized:
    """The optimum with ε(π′) maximized jointly. Its step is √(2 E KL(π′‖π)), the length that the
    Fisher metric gives a small one; 0 where no policy has a positive value."""

    def __call__(self, old: PolicyEvaluation) -> tuple[Policies, Scalars]:
        problem = _Problem(old)
        lam, t = problem.start_below_ceilings()
        each = problem.visited * lam[..., None]
        for _ in range(_ROUNDS):
            t, each = problem.ceiling(lam, t, each)
            policy = problem.tilts.at(each)
            lam, settled = problem.balanced(policy, t, lam)
            if settled:
                break
        return problem.unless_worse(policy, problem.tilts.mean(policy).max(axis=-1))


@dataclasses.dataclass(frozen=True)
class FixedPenalized:
    """The same with ε = max_{s,a} |A^π(s, a)| in the constant, whatever π′ is, and the same step.
    For γ ≥ ½ it stands still: by Pinsker's inequality L ≤ √2 max|A|/(1−γ) √(E KL), which is no more
    than the penalty."""

    def __call__(self, old: PolicyEvaluation) -> tuple[Policies, Scalars]:
        problem = _Problem(old)
        epsilon = np.ones_like(old.J)
        lam = problem.start(epsilon)
        for _ in range(_ROUNDS):
            policy = problem.tilts.at(problem.visited * lam[..., None])
            lam, settled = problem.balanced(policy, epsilon, lam)
            if settled:
                break
        return problem.unless_worse(policy, epsilon)


class _Problem:
    """Advantages, t and ε are in units of max |A|, λ in units of its inverse, gains in units of
    max |A|/(1−γ): a policy gains Σ_s d(s) E_{a~π′} A − r ε √(2K), with r = γ/(1−γ)."""

    def __init__(self, old: PolicyEvaluation) -> None:
        self.old = old
        self.tilts = Tilts(old)
        self.visited = old.d > 0
        # At γ = 0 nothing is penalized, and the largest λ is best.
        self.r = max(old.discount / (1 - old.discount), 1e-9)

    def balanced(self, policy: Policies, t: Scalars, lam: Scalars) -> tuple[Scalars, bool]:
        """(λ of the best ρ for π′, whether no λ has changed): λ = 2ρ/(c (1−γ)) with ρ = √K/t."""
        distance = np.sqrt(2 * self.tilts.divergence(policy))
        best = np.where(t > 0, distance / (self.r * np.where(t > 0, t, 1.0)), lam)
        best = np.clip(best, 1e-12, _GREEDY)
        return best, bool((np.abs(best - lam) <= _SETTLED * lam).all())

    def ceiling(self, lam: Scalars, t: Scalars, each: PerState) -> tuple[Scalars, PerState]:
        """(t, λ_s) of the best π′ for λ, looked for from a `t` and λ_s."""
        most = self.visited * lam[..., None]
        reached = self.tilts.mean(self.tilts.at(most))
        d, pressure = self.old.d, self.r**2 * lam

        def excess(t: Scalars) -> tuple[Scalars, Scalars]:
            nonlocal each
            binds = reached > t[..., None]
            each, slope = self.tilts.reaching(t, binds, each, most)
            share = np.where(binds, 1 - each / lam[..., None], 0.0)
            falls = np.where(binds, 1 / (lam[..., None] * np.maximum(slope, 1e-200)), 0.0)
            return pressure * t - (d * share).sum(axis=-1), pressure + (d * falls).sum(axis=-1)

        highest = reached.max(axis=-1)
        return increasing_root(excess, t, np.zeros_like(highest), highest), each

    def start(self, epsilon: Scalars) -> Scalars:
        """The best λ of the grid for a given ε."""
        lam, mean, divergence = self._grid()
        return _best(self._gain(mean, divergence, epsilon), lam)[1]

    def start_below_ceilings(self) -> tuple[Scalars, Scalars]:
        """The best (λ, t) of the grid."""
        lam, mean, divergence = self._grid()
        most = np.full(lam.shape[1:], -np.inf)
        best_lam, best_t = np.ones_like(most), np.ones_like(most)
        for t in np.geomspace(1e-5 * min(1.0, 1 / self.r), 1.0, _GRID):
            x = np.minimum(mean, t)
            capped = np.where(mean <= t, divergence, _interpolated(t, mean, divergence))
            gain, at = _best(self._gain(x, capped, x.max(axis=-1)), lam)
            best_lam = np.where(gain > most, at, best_lam)
            best_t = np.where(gain > most, t, best_t)
            most = np.maximum(most, gain)
        return best_lam, best_t

    def unless_worse(self, policy: Policies, epsilon: Scalars) -> tuple[Policies, Scalars]:
        """(π′, its step), or (π, 0) where π′ gains nothing beyond rounding."""
        divergence = self.tilts.divergence(policy)
        surrogate = (self.old.d * self.tilts.mean(policy)).sum(axis=-1)
        gain = surrogate - self.r * epsilon * np.sqrt(2 * divergence)
        better = gain > _ROUNDING * np.abs(surrogate)
        policy = np.where(better[..., None, None], policy, self.old.policy)
        return policy, np.where(better, np.sqrt(2 * divergence), 0.0)

    def _grid(self) -> tuple[Grid, GridPerState, GridPerState]:
        """(λ, E_{a~π′} A, KL(π′‖π)), the first λ being 0."""
        variance = (self.old.d * self.tilts.mean(self.old.policy * self.tilts.A)).sum(axis=-1)
        # No optimum lies below √Var/(2r), where the penalty of the least ε balances the gain.
        low = np.clip(0.1 * np.sqrt(variance) / self.r, 1e-9, 1.0)
        lam = np.concatenate([np.zeros((1, *low.shape)), np.geomspace(low, _GREEDY, _GRID)])
        policy = self.tilts.at(self.visited * lam[..., None])
        return lam, self.tilts.mean(policy), kl(policy, self.old.policy)

    def _gain(self, mean: GridPerState, divergence: GridPerState, epsilon: Scalars) -> Grid:
        penalty = self.r * epsilon * np.sqrt(2 * (self.old.d * divergence).sum(axis=-1))
        return (self.old.d * mean).sum(axis=-1) - penalty


def _best(gain: Grid, lam: Grid) -> tuple[Scalars, Scalars]:
    """The highest gain of a λ other than 0, and that λ."""
    at = gain[1:].argmax(axis=0)[None]
    found = (np.take_along_axis(x[1:], at, axis=0)[0] for x in (gain, lam))
    return next(found), next(found)


def _interpolated(t: float, mean: GridPerState, divergence: GridPerState) -> PerState:
    """KL of the tilt with mean `t`, of which the root is nearly linear in the mean."""
    above = np.clip((mean <= t).sum(axis=0), 1, len(mean) - 1)[None]
    m = [np.take_along_axis(mean, above - back, axis=0)[0] for back in (1, 0)]
    root = [np.sqrt(np.take_along_axis(divergence, above - back, axis=0)[0]) for back in (1, 0)]
    share = np.clip((t - m[0]) / np.maximum(m[1] - m[0], 1e-200), 0.0, 1.0)
    return (root[0] + share * (root[1] - root[0])) ** 2

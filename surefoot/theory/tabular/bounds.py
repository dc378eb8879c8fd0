"""What one policy's data says of another policy, with every constant told.

From the evaluation of π alone, the surrogate L_π(π′) predicts J(π′) − J(π); the bounds say how far
that may be off. The identity, for which π′ must be evaluated too, leaves nothing open. Each raises
`UsageError` for a π′ that is no policy of π's MDP.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from surefoot.common.errors import UsageError
from surefoot.theory.tabular import validation
from surefoot.theory.tabular.divergences import Policies, expected, kl, tv
from surefoot.theory.tabular.mdp import PolicyEvaluation

Scalars = Float[np.ndarray, "*batch"]


class Identity(NamedTuple):
    """The two sides of the performance-difference identity, in units of return."""

    difference: Scalars
    """J(π′) − J(π)."""
    expected_advantage: Scalars
    """E_{s~d^π′, a~π′}[A^π(s, a)] / (1−γ)."""


class Bound(NamedTuple):
    """J(π′) − J(π) ≥ `improvement` = `surrogate` − `penalty`, `penalty` = `constant`·`distance`."""

    improvement: Scalars
    """The least that J rises by, in units of return; −∞ where the distance is infinite."""
    surrogate: Scalars
    """L_π(π′), in units of return."""
    penalty: Scalars
    """What the surrogate may be off by, in units of return."""
    constant: Scalars
    """What the distance is multiplied with, in units of return (for the maximum KL, per nat)."""
    epsilon: Scalars
    """ε in the constant, in units of return."""
    distance: Scalars
    """Between π and π′, in the bound's own measure."""


def performance_difference(old: PolicyEvaluation, new: PolicyEvaluation) -> Identity:
    """J(π′) − J(π) = E_{s~d^π′, a~π′}[A^π(s, a)] / (1−γ), exactly (Kakade & Langford 2002).
    Raises `UsageError` for evaluations with different γ, or of different sizes."""
    if old.discount != new.discount:
        raise UsageError(
            f"the evaluations have discount {old.discount:g} and {new.discount:g}; accepted are "
            "two of one MDP"
        )
    policy = _policy(old, new.policy)
    advantage = expected(new.d, mean_advantage(old, policy))
    return Identity(new.J - old.J, advantage / (1 - old.discount))


def surrogate(old: PolicyEvaluation, policy: Any) -> Scalars:
    """L_π(π′) = E_{s~d^π, a~π}[(π′/π) A^π] / (1−γ): the identity with d^π in the place of d^π′."""
    policy = _policy(old, policy)
    return expected(old.d, mean_advantage(old, policy)) / (1 - old.discount)


def kl_bound(old: PolicyEvaluation, policy: Any) -> Bound:
    """|J(π′) − J(π) − L| ≤ C √(E_{s~d^π} KL(π′‖π)[s]), C = √2 γ ε/(1−γ)², with
    ε = max_s |E_{a~π′} A^π(s, a)| (Achiam et al. 2017, "Constrained policy optimization",
    Corollary 3). `distance` is the root, √nats."""
    policy = _policy(old, policy)
    epsilon = largest_mean_advantage(old, policy)
    constant = np.sqrt(2) * old.discount * epsilon / (1 - old.discount) ** 2
    return _bound(old, policy, constant, epsilon, np.sqrt(expected(old.d, kl(policy, old.policy))))


def tv_bound(old: PolicyEvaluation, policy: Any) -> Bound:
    """|J(π′) − J(π) − L| ≤ C E_{s~d^π} D_TV(π′‖π)[s], C = 2 γ ε/(1−γ)², ε as in `kl_bound`, which
    is never tighter (Achiam et al. 2017, Corollary 1)."""
    policy = _policy(old, policy)
    epsilon = largest_mean_advantage(old, policy)
    constant = 2 * old.discount * epsilon / (1 - old.discount) ** 2
    return _bound(old, policy, constant, epsilon, expected(old.d, tv(policy, old.policy)))


def max_kl_bound(old: PolicyEvaluation, policy: Any) -> Bound:
    """J(π′) ≥ J(π) + L − C max_s KL(π‖π′)[s], C = 4 ε γ/(1−γ)², ε = max_{s,a} |A^π(s, a)| (Schulman
    et al. 2015, "Trust region policy optimization", Theorem 1). `distance` is in nats."""
    policy = _policy(old, policy)
    epsilon = np.abs(old.A).max(axis=(-2, -1))
    constant = 4 * epsilon * old.discount / (1 - old.discount) ** 2
    return _bound(old, policy, constant, epsilon, kl(old.policy, policy).max(axis=-1))


def mean_advantage(old: PolicyEvaluation, policy: Policies) -> Float[np.ndarray, "*batch S"]:
    """E_{a~π′}[A^π(s, a)]."""
    return (policy * old.A).sum(axis=-1)


def largest_mean_advantage(old: PolicyEvaluation, policy: Policies) -> Scalars:
    """ε = max_s |E_{a~π′}[A^π(s, a)]|, over all states, d^π(s) = 0 included."""
    return np.abs(mean_advantage(old, policy)).max(axis=-1)


def _policy(old: PolicyEvaluation, policy: Any) -> Policies:
    """π′ as an array."""
    found = validation.policies(policy, old.A.shape[-2:])
    batch, theirs = old.A.shape[:-2], found.shape[:-2]
    try:
        np.broadcast_shapes(batch, theirs)
    except ValueError:
        raise UsageError(
            f"policy has leading dimensions {list(theirs)}; accepted are {list(batch)}, those of "
            "the evaluation, or none"
        ) from None
    # An evaluation's policy is divided already: a second time would change its last digit, and make
    # something of a distance that is zero.
    given = np.asarray(policy, np.float64)
    return np.where(np.abs(found - given) <= 1e-15, given, found)


def _bound(
    old: PolicyEvaluation,
    policy: Policies,
    constant: Scalars,
    epsilon: Scalars,
    distance: Scalars,
) -> Bound:
    gain = expected(old.d, mean_advantage(old, policy)) / (1 - old.discount)
    # Where C = 0 the surrogate is exact at any distance, an infinite one included.
    penalty = np.where(constant > 0, constant, 1.0) * distance
    penalty = np.where(constant > 0, penalty, 0.0)
    return Bound(gain - penalty, gain, penalty, constant, epsilon, distance)

"""Policy improvement on a table: evaluate exactly, update, and say what the step did.

An update is a function of the evaluation of π_k alone, (evaluation) -> (policy, length); the five
of this package are `PolicyGradient`, `NaturalGradient`, `TRPO`, `Penalized` with its variant
`FixedPenalized`, and `ConservativeIteration`. All act on any leading dimensions of the policy, many
starts at once for instance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from surefoot.theory.tabular.bounds import kl_bound
from surefoot.theory.tabular.divergences import Policies, expected, kl
from surefoot.theory.tabular.mdp import PolicyEvaluation, TabularMDP

Scalars = Float[np.ndarray, "*batch"]

#: (π_{k+1}, length of the step in the update's own unit).
Update = Callable[[PolicyEvaluation], tuple[Policies, Scalars]]


class Improvement(NamedTuple):
    """One iteration, π_k to π_{k+1}."""

    policy: Policies
    """π_{k+1}(a|s)."""
    J: Scalars
    """J(π_{k+1}), units of return."""
    surrogate: Scalars
    """L_{π_k}(π_{k+1}): the rise of J that was predicted, units of return."""
    bound: Scalars
    """L − C √(E KL) of `bounds.kl_bound`: the rise of J that is certain, units of return. The
    objective that `Penalized` maximizes."""
    kl: Scalars
    """E_{s~d^{π_k}} KL(π_k‖π_{k+1})[s], nats."""
    step: Scalars
    """Length of the step, in the unit that the update documents; 0 if it stands still."""


def improve(
    mdp: TabularMDP, policy: Any, update: Update, *, iterations: int
) -> Iterator[Improvement]:
    """π_1, π_2, … from π_0 = `policy` [*batch, S, A], `iterations` of them, one at a time."""
    old = mdp.evaluate(policy)
    for _ in range(iterations):
        moved, length = update(old)
        new = mdp.evaluate(moved)
        bound = kl_bound(old, new.policy)
        distance = expected(old.d, kl(old.policy, new.policy))
        yield Improvement(new.policy, new.J, bound.surrogate, bound.improvement, distance, length)
        old = new

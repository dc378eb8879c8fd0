"""Finite MDPs with limits on costs (Altman 1999, "Constrained Markov decision processes").

    max_π J(π)  subject to  J_Ck(π) = E[Σ γ^t c_k(s_t, a_t)] ≤ d_k

In the occupancy x(s, a) = d^π(s) π(a|s) of state and action all of it is linear, so that a linear
program finds an optimal policy, and the price of each limit. That policy may have to be random: a
limit that binds is met by mixing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
import scipy.sparse
from jaxtyping import Float

from surefoot.common.errors import UsageError
from surefoot.theory.tabular import validation
from surefoot.theory.tabular.mdp import PolicyEvaluation, TabularMDP


class ConstrainedEvaluation(NamedTuple):
    """A policy, what it earns, and what it costs."""

    reward: PolicyEvaluation
    costs: tuple[PolicyEvaluation, ...]
    """Of each cost: its J is J_C, its A is A_C."""


class ConstrainedOptimum(NamedTuple):
    """The best policy within the limits."""

    policy: Float[np.ndarray, "S A"]
    J: float
    """What it earns."""
    costs: Float[np.ndarray, " K"]
    """J_C of each cost."""
    multipliers: Float[np.ndarray, " K"]
    """The price of each limit: how much more would be earned per unit that it were higher."""


class ConstrainedMDP:
    """`mdp` with `costs` [K, S, A], the expected cost of an action in a state, and a limit on the
    discounted sum of each, `limits` [K]. Raises `UsageError` for shapes that disagree and numbers
    that are not finite."""

    def __init__(self, mdp: TabularMDP, costs: Any, limits: Any) -> None:
        costs = validation.numbers("costs", costs)
        limits = np.atleast_1d(validation.numbers("limits", limits))
        fits = costs.ndim == 3 and costs.shape[1:] == mdp.R.shape and len(costs) > 0
        shape = list(mdp.R.shape)
        validation.shape("costs", costs.shape, f"[K, *{shape}], one for each limit", fits=fits)
        expected = f"[{len(costs)}], one for each cost"
        validation.shape("limits", limits.shape, expected, fits=limits.shape == costs.shape[:1])
        if not (np.isfinite(costs).all() and np.isfinite(limits).all()):
            raise UsageError("costs or limits are not finite; accepted are finite numbers")
        self.mdp, self.limits = mdp, limits
        discount, initial = mdp.discount, mdp.initial
        self._of_costs = [
            TabularMDP(mdp.P, cost, discount=discount, initial=initial) for cost in costs
        ]

    def evaluate(self, policy: Any) -> ConstrainedEvaluation:
        """Of π(a|s) [*batch, S, A]."""
        reward = self.mdp.evaluate(policy)
        return ConstrainedEvaluation(reward, tuple(one.evaluate(policy) for one in self._of_costs))

    def optimal(self) -> ConstrainedOptimum:
        """By the linear program over occupancies. Raises `UsageError` where no policy is within the
        limits."""
        mdp, gamma = self.mdp, self.mdp.discount
        states, actions = mdp.R.shape
        P = scipy.sparse.csr_array(mdp.P.reshape(states * actions, -1) if not scipy.sparse.issparse(
            mdp.P) else mdp.P)  # fmt: skip
        leaves = scipy.sparse.kron(scipy.sparse.eye_array(states), np.ones((1, actions)))
        found = scipy.optimize.linprog(
            -mdp.R.reshape(-1) / (1 - gamma),
            A_ub=np.stack([one.R.reshape(-1) for one in self._of_costs]) / (1 - gamma),
            b_ub=self.limits,
            A_eq=leaves - gamma * P.T,
            b_eq=(1 - gamma) * mdp.initial,
            method="highs",
        )
        if found.status == 2:
            raise UsageError(
                f"no policy is within the limits {self.limits.tolist()}; accepted are limits that "
                "some policy meets"
            )
        assert found.status == 0, found.message
        x = np.maximum(found.x.reshape(states, actions), 0.0)
        visited = x.sum(axis=-1, keepdims=True)
        policy = np.where(visited > 1e-14, x / np.maximum(visited, 1e-300), 1 / actions)
        evaluated = self.evaluate(policy)
        return ConstrainedOptimum(
            policy=policy,
            J=float(evaluated.reward.J),
            costs=np.array([one.J for one in evaluated.costs]),
            multipliers=-np.atleast_1d(found.ineqlin.marginals),
        )

"""Finite Markov decision processes, solved exactly in float64.

With P_π and r_π the transition matrix and the expected reward under π, everything that a sampled
method estimates is linear algebra:

    V = (I − γ P_π)⁻¹ r_π        Q = R + γ P V        A = Q − V
    J = μᵀ V                     d = (1 − γ) (I − γ P_πᵀ)⁻¹ μ

d^π(s) = (1−γ) Σ_t γ^t P(s_t = s | π) is the discounted distribution of states (Kakade & Langford
2002, "Approximately optimal approximate reinforcement learning").
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from jaxtyping import Float

from surefoot.common.errors import UsageError
from surefoot.theory.tabular import validation
from surefoot.theory.tabular.linear_solve import solve_discounted


class PolicyEvaluation(NamedTuple):
    """A policy and what it is worth, without sampling. Any leading dimensions of the policy are
    those of every field but the discount."""

    policy: Float[np.ndarray, "*batch S A"]
    """π(a|s)."""
    discount: float
    """γ of the MDP."""
    J: Float[np.ndarray, "*batch"]
    """E[Σ γ^t r_t] from the initial distribution."""
    V: Float[np.ndarray, "*batch S"]
    """E[Σ γ^t r_t | s_0 = s]."""
    Q: Float[np.ndarray, "*batch S A"]
    """E[Σ γ^t r_t | s_0 = s, a_0 = a]."""
    A: Float[np.ndarray, "*batch S A"]
    """Q(s, a) − V(s)."""
    d: Float[np.ndarray, "*batch S"]
    """(1−γ) Σ_t γ^t P(s_t = s); sums to 1."""


class TabularMDP:
    """A finite MDP of `S` states and `A` actions.

    `P` is P(s′|s, a): an array [S, A, S], or a SciPy sparse [S*A, S] whose row s·A + a belongs to
    state s and action a. `R` is the expected reward [S, A], or the reward of each transition, in
    P's own shape. `discount` is γ in [0, 1), `initial` the distribution [S] of s_0. An episode's
    end is a state that every action keeps, with reward zero.

    Raises `UsageError` for shapes that disagree, probabilities that are negative or do not sum to 1
    (within 1e-6; they are then divided by their sum), rewards that are not finite, and γ ∉ [0, 1).
    """

    P: Any
    """Float[np.ndarray, "S A S"], or a scipy.sparse.csr_array [S*A, S]."""
    R: Float[np.ndarray, "S A"]
    """Expected reward of an action in a state."""
    discount: float
    """γ."""
    initial: Float[np.ndarray, " S"]
    """μ, the distribution of s_0."""

    def __repr__(self) -> str:
        states, actions = self.R.shape
        return f"<TabularMDP: {states:,} states, {actions:,} actions, discount {self.discount:g}>"

    def __init__(self, P: Any, R: Any, *, discount: float, initial: Any) -> None:
        if scipy.sparse.issparse(P):
            rows, states = P.shape
            actions = rows // max(states, 1)
            fits = rows > 0 and rows == actions * states
            validation.shape(
                "P", P.shape, "[S*A, S] of S states and A actions, if sparse", fits=fits
            )
            P = scipy.sparse.csr_array(P, dtype=np.float64)
            self.P = validation.sparse_distributions("P", P, actions)
            self._rows = self.P
        else:
            P = validation.numbers("P", P)
            fits = P.ndim == 3 and P.size > 0 and P.shape[0] == P.shape[2]
            validation.shape("P", P.shape, "[S, A, S] of S states and A actions", fits=fits)
            states, actions, _ = P.shape
            self.P = validation.distributions("P", P)
            self._rows = self.P.reshape(states * actions, states)
        self.R = self._expected(R, states, actions)
        self.discount = validation.discount(discount)
        initial = validation.numbers("initial", initial)
        validation.shape("initial", initial.shape, f"[{states}]", fits=initial.shape == (states,))
        self.initial = validation.distributions("initial", initial)

    def _expected(self, R: Any, states: int, actions: int) -> Float[np.ndarray, "S A"]:
        # Rewards that are not mentioned are 0, in a sparse table as in an array.
        sparse = scipy.sparse.issparse(R)
        R = R.toarray() if sparse and R.shape == (states, actions) else R
        R = R if scipy.sparse.issparse(R) else validation.numbers("R", R)
        accepted = f"[{states}, {actions}], or the shape of P, {list(self.P.shape)}"
        fits = R.shape in {(states, actions), self.P.shape}
        validation.shape("R", R.shape, accepted, fits=fits)
        if R.shape == self.P.shape:
            each = self.P * R
            R = np.asarray(each.sum(axis=-1)).reshape(states, actions)
        if not np.isfinite(R).all():
            raise UsageError("R has entries that are not finite; accepted are finite rewards")
        return R

    @property
    def states(self) -> int:
        """S."""
        return self.R.shape[0]

    @property
    def actions(self) -> int:
        """A."""
        return self.R.shape[1]

    def evaluate(self, policy: Any) -> PolicyEvaluation:
        """J, V, Q, A and d^π of π(a|s) [*batch, S, A]. Raises `UsageError` for what is no policy
        of this MDP."""
        policy = validation.policies(policy, self.R.shape)
        batch = policy.shape[:-2]
        if batch and scipy.sparse.issparse(self.P):
            found = [self._solve(pi) for pi in policy.reshape(-1, *self.R.shape)]
            V, d = (np.stack(x).reshape(*batch, self.states) for x in zip(*found, strict=True))
        else:
            V, d = self._solve(policy)
        Q = self._backup(V)
        J = V @ self.initial
        # V is the solver's, up to rounding: this way the action of a deterministic policy has an
        # advantage of 0 to the last digit, and no step is made of rounding.
        A = Q - (policy * Q).sum(axis=-1, keepdims=True)
        return PolicyEvaluation(policy, self.discount, J, V, Q, A, d)

    def optimal(self) -> PolicyEvaluation:
        """An optimal deterministic policy, by policy iteration (Howard 1960)."""
        policy = np.full(self.R.shape, 1 / self.actions)
        while True:
            found = self.evaluate(policy)
            # An action that is better by rounding alone would be exchanged forever.
            rounding = 1e-12 * max(np.abs(found.Q).max(), np.finfo(float).tiny)
            better = found.A.max(axis=-1) > rounding
            deterministic = (policy == 1.0).any(axis=-1)
            if deterministic.all() and not better.any():
                return found
            greedy = np.eye(self.actions)[found.Q.argmax(axis=-1)]
            policy = np.where((better | ~deterministic)[:, None], greedy, policy)

    def _solve(
        self, policy: Float[np.ndarray, "*batch S A"]
    ) -> tuple[Float[np.ndarray, "*batch S"], Float[np.ndarray, "*batch S"]]:
        """(V, d^π)."""
        P = self._under(policy)
        transposed = P.T if scipy.sparse.issparse(P) else np.swapaxes(P, -1, -2)
        initial = np.broadcast_to(self.initial, policy.shape[:-1])
        V = solve_discounted(P, (policy * self.R).sum(axis=-1), self.discount)
        d = solve_discounted(transposed, (1 - self.discount) * initial, self.discount)
        return V, np.maximum(d, 0.0)

    def _under(self, policy: Float[np.ndarray, "*batch S A"]) -> Any:
        """P_π."""
        if not scipy.sparse.issparse(self.P):
            return np.einsum("...sa,sat->...st", policy, self.P)
        starts = np.arange(0, policy.size + 1, self.actions)
        weights = (policy.ravel(), np.arange(policy.size), starts)
        return scipy.sparse.csr_array(weights, shape=(self.states, policy.size)) @ self.P

    def _backup(self, V: Float[np.ndarray, "*batch S"]) -> Float[np.ndarray, "*batch S A"]:
        """R + γ P V."""
        following = self._rows @ V.reshape(-1, self.states).T
        return self.R + self.discount * following.T.reshape(*V.shape[:-1], *self.R.shape)

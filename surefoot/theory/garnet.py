"""Random MDPs (Garnet: Archibald, McKinnon & Thomas 1995)."""

from __future__ import annotations

import numpy as np
import scipy.sparse

from surefoot.errors import UsageError
from surefoot.theory.mdp import TabularMDP
from surefoot.theory.storage import fitting


def garnet(seed: int, *, states: int, actions: int, branching: int, discount: float) -> TabularMDP:
    """An MDP in which every action of every state leads to `branching` states, drawn without
    replacement, with probabilities uniform on the simplex; rewards R(s, a) are standard normal,
    s_0 is uniform. The same seed gives the same MDP.

    Raises `UsageError` for sizes below 1, and for a branching above the number of states.
    """
    for name, size in (("states", states), ("actions", actions)):
        if size < 1:
            raise UsageError(f"{name} is {size}; accepted is an integer from 1 up")
    if not 1 <= branching <= states:
        raise UsageError(
            f"branching is {branching}; accepted is 1 to {states}, the number of states"
        )
    rng = np.random.default_rng(seed)
    rows = states * actions
    following = np.stack([rng.choice(states, branching, replace=False) for _ in range(rows)])
    p = rng.dirichlet(np.ones(branching), size=rows)
    starts = np.arange(0, p.size + 1, branching)
    P = scipy.sparse.csr_array((p.ravel(), following.ravel(), starts), shape=(rows, states))
    R = rng.normal(size=(states, actions))
    return TabularMDP(fitting(P), R, discount=discount, initial=np.full(states, 1 / states))

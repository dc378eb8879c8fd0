"""Random MDPs (Garnet: Archibald, McKinnon & Thomas 1995)."""

from __future__ import annotations

import numpy as np
import scipy.sparse

from surefoot.common.errors import UsageError
from surefoot.theory.tabular import validation
from surefoot.theory.tabular.linear_solve import fitting
from surefoot.theory.tabular.mdp import TabularMDP


def garnet(seed: int, *, states: int, actions: int, branching: int, discount: float) -> TabularMDP:
    """An MDP in which every action of every state leads to `branching` states, drawn without
    replacement, with probabilities uniform on the simplex; rewards R(s, a) are standard normal,
    s_0 is uniform. The same seed gives the same MDP.

    Raises `UsageError` for sizes that are no integers or below 1, for a branching above the number
    of states, and for a seed that is no integer or negative.
    """
    seed = validation.integer("seed", seed, least=0)
    states = validation.integer("states", states, least=1)
    actions = validation.integer("actions", actions, least=1)
    branching = validation.integer("branching", branching, least=1)
    if branching > states:
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

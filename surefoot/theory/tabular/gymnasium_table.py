"""The exact MDP behind a Gymnasium environment that has a transition table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

from surefoot.common.errors import UsageError
from surefoot.theory.tabular.linear_solve import fitting
from surefoot.theory.tabular.mdp import TabularMDP


def from_gymnasium(env_id: str, *, discount: float, **options: Any) -> TabularMDP:
    """The MDP of FrozenLake-v1, Taxi-v4, CliffWalking-v1, or of any environment whose unwrapped
    `P[s][a]` is a list of (probability, next state, reward, terminated) and which has an
    `initial_state_distrib`; `options` are the environment's own.

    A state that a terminated transition leads to is absorbing with reward zero, whatever the table
    says of it. The time limit that Gymnasium wraps around the environment is no part of it. Raises
    `UsageError` for an unknown id or option, for an environment without a table or with moves that
    its table does not have, and where a state that can be reached both ends an episode and goes on
    with it.
    """
    import gymnasium

    from surefoot.envs.env_ids import check_env_id

    check_env_id(env_id)
    try:
        env = gymnasium.make(env_id, **options)
    except TypeError as error:
        unknown = [
            name for name in options if f"unexpected keyword argument '{name}'" in str(error)
        ]
        if not unknown:
            raise
        raise UsageError(
            f"environment {env_id!r} has no option {unknown[0]!r}; accepted are those of its own "
            "documentation"
        ) from None
    if getattr(env.unwrapped, "fickle_passenger", False):
        env.close()
        raise UsageError(
            f"fickle_passenger is True, and the table of {env_id!r} does not have the passenger's "
            "change of mind; accepted is False"
        )
    table = getattr(env.unwrapped, "P", None)
    initial = getattr(env.unwrapped, "initial_state_distrib", None)
    env.close()
    if not isinstance(table, dict) or initial is None:
        raise UsageError(
            f"environment {env_id!r} has no transition table; accepted are environments with P and "
            "initial_state_distrib, FrozenLake-v1 for instance, or a TabularMDP of your own arrays"
        )
    return _from_table(env_id, table, np.asarray(initial, np.float64), discount)


def _from_table(
    env_id: str, table: dict[int, Any], initial: np.ndarray, discount: float
) -> TabularMDP:
    states, actions = len(table), len(table[0])
    source, probability, target, reward, ended = (
        np.array(column) for column in zip(*_transitions(table, actions), strict=True)
    )
    terminal = np.zeros(states, bool)
    terminal[target[ended]] = True
    live = ~terminal[source // actions]
    entries = (probability[live], (source[live], target[live]))
    P = scipy.sparse.csr_array(entries, shape=(states * actions, states))
    R = np.zeros(states * actions)
    np.add.at(R, source[live], probability[live] * reward[live])

    going_on = live & ~ended & terminal[target] & (probability > 0)
    reached = _reachable(P, initial, actions)
    ambiguous = target[going_on & reached[source // actions]]
    if ambiguous.size:
        raise UsageError(
            f"state {ambiguous[0]} of {env_id!r} ends an episode on one transition and not on "
            "another; accepted are tables in which a state ends it always or never"
        )
    stays = np.flatnonzero(np.repeat(terminal, actions))
    loops = (np.ones(stays.size), (stays, stays // actions))
    P = P + scipy.sparse.csr_array(loops, shape=P.shape)
    return TabularMDP(fitting(P), R.reshape(states, actions), discount=discount, initial=initial)


def _transitions(table: dict[int, Any], actions: int) -> Iterator[tuple[Any, ...]]:
    """(s·A + a, probability, next state, reward, terminated) of every entry."""
    for state in range(len(table)):
        for action in range(actions):
            for probability, target, reward, terminated in table[state][action]:
                yield state * actions + action, probability, target, reward, bool(terminated)


def _reachable(P: scipy.sparse.csr_array, initial: np.ndarray, actions: int) -> np.ndarray:
    """Which states an episode can come to."""
    states = initial.size
    source, target = P.nonzero()
    starts = np.flatnonzero(initial)
    # One more node, from which every initial state is a step away.
    rows = np.concatenate([source // actions, np.full(starts.size, states)])
    columns = np.concatenate([target, starts])
    graph = scipy.sparse.csr_array((np.ones(rows.size), (rows, columns)), shape=(states + 1,) * 2)
    order = scipy.sparse.csgraph.breadth_first_order(graph, states, return_predecessors=False)
    reached = np.zeros(states + 1, bool)
    reached[order] = True
    return reached[:states]

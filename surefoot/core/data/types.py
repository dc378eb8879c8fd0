"""The data of one iteration: a `Trajectory` is collected, a `Batch` is learned from.

`OfflineData` is what an offline method has in place of a trajectory. All are named tuples of arrays
without logic; functions beside them make rows of a trajectory's arrays, and pick rows of a batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from surefoot.core.distributions import Action, Distribution

#: The parameters of a policy or a critic: the module itself (`equinox.Module`), or a pytree of the
#: same structure that holds a direction. Non-array leaves of a direction are `None`.
Params = PyTree[Any]

#: What a part reports: a named tuple whose every field is documented with its unit.
Info = tuple[Any, ...]

#: A hyperparameter: given as a number, held as an array and so a traced value, not a constant, of
#: a compiled update.
Scalar = Float[Array, ""] | float

#: What collects: encoded and normalized observations [*batch, N, obs] of N environments to action
#: distributions; a pytree.
Behavior = Callable[[Float[Array, "*batch obs"]], Distribution]


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Acting:
    """How raw actions map to the environment's action space."""

    action_space: str
    """The environment's, bounds included, as JSON."""
    action_map: str
    """How a raw action becomes one within its bounds."""


class Trajectory(NamedTuple):
    """`T` consecutive rows of `N` environments, as they were collected.

    A row is a transition (s_t, a_t, r_t, s_{t+1}) only where `valid`, and counts in nothing
    elsewhere: the dummy row that NEXT_STEP auto-reset puts after an episode's end is not, nor is a
    step in which the environment was lost and began another episode.
    """

    obs: Float[Array, "T N obs"]
    """s_t, flattened and not normalized."""
    action: Action
    """The raw sample of the policy, before it is mapped to the environment's bounds; leaves are
    [T, N, …]."""
    old: Distribution
    """π_old(·|s_t), the distribution that the action was drawn from; leaves are [T, N, …]."""
    reward: Float[Array, "T N"]
    """r_t as the environment gave it."""
    next_obs: Float[Array, "T N obs"]
    """The true s_{t+1}, also where the environment was reset afterwards."""
    terminated: Bool[Array, "T N"]
    """The task ended: nothing is earned after this row. Wins over `truncated`."""
    truncated: Bool[Array, "T N"]
    """The episode was cut from outside, by a time limit for instance; the bootstrap stays."""
    valid: Bool[Array, "T N"]
    """This row is a transition."""
    episode_return: Float[Array, "T N"]
    """Undiscounted sum of raw rewards from the episode's start up to and with this row."""
    episode_length: Int[Array, "T N"]
    """Transitions from the episode's start up to and with this row."""
    acting: Acting | None = None
    """How `action` maps to the environment, if that is known."""


class Batch(NamedTuple):
    """`B` rows to learn from. The policy's batch and the critic's are of the same type: for the
    critic, `action` is the value target and `old` is N(V_old, 1)."""

    obs: Float[Array, "B obs"]
    """Normalized observations."""
    action: Action
    """Raw actions, whose leaves are [B, …], or value targets [B, 1]."""
    old: Distribution
    """The distribution before the update; leaves are [B, …]."""
    advantage: Float[Array, " B"]
    """Â, normalized if the algorithm says so. Zero where `weight` is zero."""
    weight: Float[Array, " B"]
    """How much a row counts in every mean: 1, or 0 for rows that carry nothing."""
    progress: Float[Array, ""]
    """Fraction of the run's environment steps that lay behind when the iteration began, in [0, 1]:
    what a schedule is a function of."""
    average: Distribution | None = None
    """The distribution of the averaged policy, where an update keeps one (`AveragePolicy`)."""


class OfflineData(NamedTuple):
    """What was seen and done, a row a transition."""

    obs: Float[Array, "B obs"]
    """Encoded observations, not normalized."""
    action: Action
    """Actions in the policy's own terms, before they are mapped to the environment's bounds; leaves
    are [B, …]."""


def as_rows(x: Array) -> Array:
    """[T, N, …] as rows, the time outermost."""
    return x.reshape(-1, *x.shape[2:])


def kept_rows(x: Array, weight: Float[Array, " B"]) -> Array:
    """The rows of [T, N, …], zero where they have no weight: there they may hold anything, a NaN
    too, and 0·NaN is a NaN in a gradient."""
    return jnp.where(weight.reshape(-1, *(1,) * (x.ndim - 2)) > 0, as_rows(x), 0)


def take(batch: Batch, rows: Any) -> Batch:
    """The given rows (index array or slice) of a batch; scalars are kept."""
    return jax.tree.map(lambda x: x[rows] if x.ndim else x, batch)

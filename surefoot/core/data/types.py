"""The data of one iteration: a `Trajectory` is collected, a `Batch` is learned from.

`OfflineData` is what an offline method has in place of a trajectory. All are named tuples of arrays
without logic.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from surefoot.core.data.following import Following
from surefoot.core.distributions import Action, Distribution

#: The parameters of a policy or a critic: the module itself (`equinox.Module`), or a pytree of the
#: same structure that holds a direction. Non-array leaves of a direction are `None`.
Params = PyTree[Any]

#: What a part reports: a named tuple whose every field is documented with its unit.
Info = tuple[Any, ...]

#: A hyperparameter: given as a number, held as an array and so a traced value, not a constant, of
#: a compiled update.
Scalar = Float[Array, ""] | float


@runtime_checkable
class Behavior(Protocol):
    """What collects, a pytree: a policy, or one for each environment. Observations are encoded and
    normalized. The memory is a pytree of arrays [N, …]; `None` where there is none."""

    def __call__(self, obs: PyTree[Array]) -> Distribution:
        """The action distributions, of a behavior without memory."""

    def initial(self, count: int) -> Any:
        """The memory of so many environments at the start of an episode."""

    def step(
        self, obs: PyTree[Array], starts: Bool[Array, " N"] | None, memory: Any
    ) -> tuple[Distribution, Any]:
        """(the action distributions, the memory afterwards). Where `starts`, the observation is
        the first of an episode, and the memory counts for nothing."""

    def unroll(
        self, obs: PyTree[Array], starts: Bool[Array, "S L"], memory: Any
    ) -> tuple[Distribution, Any]:
        """The same of L steps one after the other, from a memory [S, …] on: (the distributions, the
        memory after each step, leaves [S, L, …])."""


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Acting:
    """How raw actions map to the environment's action space."""

    action_space: str
    """The environment's, bounds included, as JSON."""
    action_map: str
    """How a raw action becomes one within its bounds."""


class Lives(NamedTuple):
    """Where a lost life ends an episode for learning, while the environment goes on."""

    lost: Bool[Array | np.ndarray, "T N"]
    """A life was lost in this row, and the episode goes on."""
    length: Int[Array | np.ndarray, "T N"]
    """Transitions since a life was lost, or since the episode's start, up to and with this row."""


class Trajectory(NamedTuple):
    """`T` consecutive rows of `N` environments, as they were collected.

    A row is a transition (s_t, a_t, r_t, s_{t+1}) only where `valid`, and counts in nothing
    elsewhere: the dummy row that NEXT_STEP auto-reset puts after an episode's end is not, nor is a
    step in which the environment was lost and began another episode.
    """

    obs: PyTree[Array]
    """s_t, encoded and not normalized, leaves [T, N, …]."""
    action: Action
    """The raw sample of the policy, before it is mapped to the environment's bounds; leaves are
    [T, N, …]."""
    old: Distribution
    """π_old(·|s_t), the distribution that the action was drawn from; leaves are [T, N, …]."""
    reward: Float[Array, "T N"]
    """r_t as the environment gave it."""
    next_obs: PyTree[Array] | Following
    """The true s_{t+1}, also where the environment was reset afterwards, leaves [T, N, …]; of
    images those alone that no row has."""
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
    memory: Any = None
    """The acting policy's memory at the start of each segment, leaves [T/L, N, …], L the segments'
    length; `None` for one without."""
    lives: Lives | None = None
    """Where lost lives end episodes for learning; `None` where they end nothing. All else is of
    whole episodes."""
    cost: Float[Array, "T N"] | None = None
    """What a transition cost, as the environment says; `None` where it does not."""


class CostRows(NamedTuple):
    """The costs of a batch's rows, `K` of them, each of which has a limit on its sum over an
    episode."""

    advantage: Float[Array, "*B K"]
    """Â_C, centered and in the cost's own unit. Zero where a row has no weight."""
    gap: tuple[Float[Array, ""], ...]
    """J_C − d of each: how far the mean cost of an episode is above its limit."""
    length: Float[Array, ""]
    """Mean length of an episode, rows."""


class Batch(NamedTuple):
    """`B` rows to learn from; for networks with a memory, segments of `L` consecutive rows, [S, L]
    in the place of [B]. The policy's batch and the critic's are of the same type: for the critic,
    `action` is the value target and `old` is N(V_old, 1)."""

    obs: PyTree[Array]
    """Normalized observations."""
    action: Action
    """Raw actions, whose leaves are [B, …], or value targets [B, 1]."""
    old: Distribution
    """The distribution before the update; leaves are [B, …]."""
    advantage: Float[Array, "*B"]
    """Â, normalized if the algorithm says so. Zero where `weight` is zero."""
    weight: Float[Array, "*B"]
    """How much a row counts in every mean: 1, or 0 for rows that carry nothing."""
    progress: Float[Array, ""]
    """Fraction of the run's environment steps that lay behind when the iteration began, in [0, 1]:
    what a schedule is a function of."""
    average: Distribution | None = None
    """The distribution of the averaged policy, where an update keeps one (`AveragePolicy`)."""
    starts: Bool[Array, "S L"] | None = None
    """Which rows are the first of an episode; `None` for rows that are in no segments."""
    memory: Any = None
    """The network's memory at the start of each segment, leaves [S, …]; `None` without one."""
    behavior: Distribution | None = None
    """The distributions that the actions were drawn from, where these are not `old`: those of
    earlier policies."""
    costs: CostRows | None = None
    """What limits are on; `None` where there are none."""

    @property
    def drawn_from(self) -> Distribution:
        """The distributions that the actions were drawn from."""
        return self.old if self.behavior is None else self.behavior


class OfflineData(NamedTuple):
    """What was seen and done, a row a transition; for a policy with a memory in `N` lanes of `P`
    segments of `L` consecutive rows, [N, P, L] in the place of [B]."""

    obs: PyTree[Array]
    """Encoded observations, not normalized."""
    action: Action
    """Actions in the policy's own terms, before they are mapped to the environment's bounds; leaves
    are [B, …]."""
    starts: Bool[Array, "N P L"] | None = None
    """Which rows are the first of an episode; `None` for rows in no order."""
    counts: Bool[Array, "N P L"] | None = None
    """Which rows are transitions; `None`: all."""


def take(batch: Batch, rows: Any) -> Batch:
    """The given rows, or segments (index array or slice), of a batch; scalars are kept."""
    return jax.tree.map(lambda x: x[rows] if x.ndim else x, batch)

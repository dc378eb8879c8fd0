"""How rows of earlier iterations are learned from beside the newest.

An action that an earlier policy μ drew counts by how likely it is under the present policy π. In
the objective that is the ratio to μ, while the step is still measured from π; in the advantages, a
trace (`gae`); in the mean and deviation that advantages are standardized by, the weight π/μ
(Queeney et al. 2021, "Generalized proximal policy optimization with sample reuse").
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from surefoot.core.data.replay_memory import Remembered
from surefoot.core.data.segments import along_trajectory
from surefoot.core.data.types import Trajectory
from surefoot.core.distributions import Distribution
from surefoot.methods.learners.learner import TrainState


class Related(NamedTuple):
    """The rows of a trajectory as the present policy sees them."""

    old: Distribution
    """π, leaves [T, N, …]."""
    behavior: Distribution | None
    """μ; `None` where π drew all of them."""
    ratio: Float[Array, "T N"] | None
    """π/μ of the action; `None` where it is 1, or taken for it."""

    @property
    def trace(self) -> Float[Array, "T N"] | None:
        """min(1, π/μ), that of `gae`."""
        return None if self.ratio is None else jnp.minimum(self.ratio, 1.0)


def with_earlier(state: TrainState, data: Trajectory) -> Remembered:
    """What an iteration learns from: the new trajectory, beside it those that are remembered, in
    the columns before its own."""
    newest = Remembered(data, state.critic_memory)
    return newest if state.replay is None else state.replay.with_newest(newest)


def related(
    state: TrainState,
    rows: Trajectory,
    obs: PyTree[Array],
    data: Trajectory,
    *,
    corrected: bool,
) -> Related:
    """The rows, of which the last columns are the new trajectory `data`, with normalized
    observations `obs`. Unless `corrected`, they count in advantages as if π had drawn them."""
    if state.replay is None:
        return Related(rows.old, None, None)
    envs = data.reward.shape[1]
    now = along_trajectory(state.policy, obs, rows)
    # The newest are π's own, exactly: what it drew them from, not a computation of it.
    old = jax.tree.map(lambda x, new: jnp.concatenate([x[:, :-envs], new], 1), now, data.old)
    if not corrected:
        return Related(old, rows.old, None)
    ratio = jnp.exp(old.log_prob(rows.action) - rows.old.log_prob(rows.action))
    return Related(old, rows.old, jnp.where(rows.valid, ratio, 0.0))


def newest_columns(tree: PyTree[Array], data: Trajectory) -> PyTree[Array]:
    """Of what there is for every column of `with_earlier`, leaves [M·N, …], the new ones'."""
    envs = data.reward.shape[1]
    return jax.tree.map(lambda x: x[-envs:], tree)


def remembering(state: TrainState, data: Trajectory) -> TrainState:
    """The state that remembers this trajectory, if it remembers any."""
    if state.replay is None:
        return state
    return state._replace(replay=state.replay.appended(Remembered(data, state.critic_memory)))

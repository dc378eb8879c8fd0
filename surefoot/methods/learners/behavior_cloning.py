"""Behavior cloning: supervised learning of recorded actions, as a learner that collects nothing
(Pomerleau 1989).

A policy with a memory is unrolled over all that was recorded before a pass: a segment starts with
the memory that the policy has there then, as in a trajectory that it collected itself.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from surefoot.core.data.types import Batch, OfflineData
from surefoot.core.networks import Critic, Policy
from surefoot.core.updates import Update, UpdateInfo
from surefoot.methods.learners.learner import Learner, TrainState, progress


class CloningMetrics(NamedTuple):
    """What one turn did to the policy."""

    policy: UpdateInfo
    valid_rows: Int[Array, ""]
    """Recorded transitions."""
    learned_rows: Int[Array, ""]
    """The same: all of them are learned from."""


class Cloning(Learner):
    """Improves the policy on recorded actions by `policy_update`, whose objective is a likelihood.
    Advantages are 1."""

    policy_update: Update

    offline: ClassVar[bool] = True
    sees_rewards: ClassVar[bool] = False

    @property
    def critic_update(self) -> None:
        return None

    def init_update_states(
        self, key: PRNGKeyArray, policy: Policy, critic: Critic | None
    ) -> tuple[Any, Any]:
        return self.policy_update.init(policy), None

    def behavior(self, state: TrainState, key: PRNGKeyArray) -> Policy:
        return state.policy

    def improve(
        self, state: TrainState, data: OfflineData
    ) -> tuple[TrainState, None, CloningMetrics]:
        key, update_key = jax.random.split(state.key)
        obs = state.normalizer(data.obs)
        ask = _in_any_order if data.starts is None else _along_time
        batch = ask(state.policy, obs, data)._replace(progress=progress(state))
        policy, policy_state, info = self.policy_update(
            update_key, state.policy, state.policy_state, batch
        )
        rows = jnp.sum(batch.weight > 0, dtype=jnp.int32)
        state = state._replace(
            policy=policy, policy_state=policy_state, key=key, steps=state.steps.plus(rows)
        )
        return state, None, CloningMetrics(info, rows, rows)


def _in_any_order(policy: Policy, obs: Any, data: OfflineData) -> Batch:
    ones = jnp.ones(len(jax.tree.leaves(obs)[0]))
    return Batch(obs, data.action, policy(obs), ones, ones, jnp.zeros(()))


def _along_time(policy: Policy, obs: Any, data: OfflineData) -> Batch:
    assert data.starts is not None
    assert data.counts is not None
    lanes, pieces, length = data.starts.shape

    def joined(x: Array) -> Array:
        return x.reshape(lanes, pieces * length, *x.shape[3:])

    def in_segments(x: Array) -> Array:
        return x.reshape(lanes * pieces, length, *x.shape[2:])

    def at_starts(first: Array, after: Array) -> Array:
        before = jnp.concatenate([first[:, None], after[:, :-1]], axis=1)[:, ::length]
        return before.reshape(lanes * pieces, *before.shape[2:])

    begin = policy.initial(lanes)
    seen, done = jax.tree.map(joined, (obs, data.action))
    dist, memories = policy.unroll(seen, joined(data.starts), begin)
    weight = in_segments(joined(data.counts)).astype(jnp.result_type(float))
    seen, done, dist = jax.tree.map(in_segments, (seen, done, dist))
    starts = in_segments(joined(data.starts))
    memory = jax.tree.map(at_starts, begin, memories)
    return Batch(seen, done, dist, weight, weight, jnp.zeros(()), starts=starts, memory=memory)

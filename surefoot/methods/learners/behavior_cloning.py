"""Behavior cloning: supervised learning of recorded actions, as a learner that collects nothing
(Pomerleau 1989)."""

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
        ones = jnp.ones(obs.shape[0])
        batch = Batch(obs, data.action, state.policy(obs), ones, ones, progress(state))
        policy, policy_state, info = self.policy_update(
            update_key, state.policy, state.policy_state, batch
        )
        rows = jnp.asarray(obs.shape[0], jnp.int32)
        state = state._replace(
            policy=policy, policy_state=policy_state, key=key, steps=state.steps.plus(rows)
        )
        return state, None, CloningMetrics(info, rows, rows)

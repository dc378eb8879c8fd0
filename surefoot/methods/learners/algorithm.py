"""`Algorithm`: advantages, then an update of the policy, then one of the critic.

Nothing here knows which method it runs: that is all in the two `Update`s.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from surefoot.core.data.advantages import finished, gae, standardize
from surefoot.core.data.normalization import Normalizer
from surefoot.core.data.reward_scaling import Scaler
from surefoot.core.data.segments import (
    distribution,
    first_rows,
    in_batch,
    kept_in_batch,
    terminations,
)
from surefoot.core.data.types import Batch, Scalar, Trajectory
from surefoot.core.local_model import weighted_mean
from surefoot.core.networks import Critic, Policy
from surefoot.core.updates import Update
from surefoot.methods.learners.diagnostics import (
    Metrics,
    effective_sample_size,
    explained_variance,
)
from surefoot.methods.learners.judged import Judged, judge, segment_length, to_fit
from surefoot.methods.learners.learner import Learner, TrainState, progress


class Algorithm(Learner):
    """Policy optimization by `policy_update`, with a critic fitted by `critic_update`.

    The first batch is seen through its own statistics; it was collected before there were any, by
    a policy to which all observations were alike, and its `old` is that policy's.

    Without a critic the value is zero, returns are Monte Carlo (λ = 1 whatever `gae_lambda` is),
    and rows of episodes that do not end within the batch get weight 0. A time limit then counts as
    a termination: there is no value to put in the place of what would have come.
    """

    policy_update: Update
    critic_update: Update | None = None
    discount: Scalar = eqx.field(converter=jnp.asarray, default=0.99, kw_only=True)
    gae_lambda: Scalar = eqx.field(converter=jnp.asarray, default=0.95, kw_only=True)
    normalize_advantages: bool = eqx.field(static=True, default=True, kw_only=True)

    def init_update_states(
        self, key: PRNGKeyArray, policy: Policy, critic: Critic | None
    ) -> tuple[Any, Any]:
        critic_state = None if self.critic_update is None else self.critic_update.init(critic)
        return self.policy_update.init(policy), critic_state

    def behavior(self, state: TrainState, key: PRNGKeyArray) -> Policy:
        return state.policy

    def improve(
        self, state: TrainState, data: Trajectory
    ) -> tuple[TrainState, Batch | None, Metrics]:
        key, policy_key = jax.random.split(state.key)
        data = data._replace(terminated=terminations(data))
        done = (data.terminated | data.truncated) & data.valid
        scaler = state.scaler.update(data.reward, done, data.valid, self.discount)
        updated = state.normalizer.update(data.obs, data.valid)
        normalizer = state.normalizer.readied(updated)
        obs, length = normalizer(data.obs), segment_length(data)
        batch, judged, target = self._learned_from(state, data, obs, normalizer, scaler, done)
        policy, policy_state, info = self.policy_update(
            policy_key, state.policy, state.policy_state, batch
        )

        critic_batch = None if state.critic is None else to_fit(batch, judged, target, obs, data)
        dist, weight = distribution(policy, batch), batch.weight
        metrics = Metrics(
            policy=info,
            effective_sample_size=effective_sample_size(dist, batch),
            distribution=jax.tree.map(
                lambda x: jax.vmap(weighted_mean, (-1, None))(x, weight), dist.diagnostics()
            ),
            valid_rows=jnp.sum(data.valid, dtype=jnp.int32),
            learned_rows=jnp.sum(weight),
            explained_variance=explained_variance(
                in_batch(target, length), in_batch(judged.value, length), weight
            ),
            value_mean=weighted_mean(in_batch(judged.value, length), weight),
            reward_scale=scaler(jnp.ones(())),
        )
        state = state._replace(
            policy=policy,
            policy_state=policy_state,
            normalizer=updated,
            scaler=scaler,
            key=key,
            steps=state.steps.plus(metrics.valid_rows),
            critic_memory=judged.next_memory,
        )
        return state, critic_batch, metrics

    def _learned_from(
        self,
        state: TrainState,
        data: Trajectory,
        obs: PyTree[Array],
        normalizer: Normalizer,
        scaler: Scaler,
        done: Bool[Array, "T N"],
    ) -> tuple[Batch, Judged, Float[Array, "T N"]]:
        """(the policy's batch, what the critic says, what V(s) should be)."""
        length = segment_length(data)
        if state.critic is None:
            zeros = jnp.zeros_like(data.reward)
            judged = Judged(zeros, zeros, None, None)
            gae_lambda: Scalar = 1.0
            weight = finished(done, data.valid).astype(zeros.dtype)
        else:
            gae_lambda = self.gae_lambda
            judged = judge(state.critic, state.critic_memory, obs, normalizer, data)
            weight = data.valid.astype(judged.value.dtype)
        earned = scaler(data.reward), judged.value, judged.next_value
        ends = data.terminated, data.truncated, data.valid
        advantage = gae(*earned, *ends, discount=self.discount, gae_lambda=gae_lambda)
        flat = in_batch(weight, length)
        learned = kept_in_batch(advantage, flat, length)
        if self.normalize_advantages:
            learned = standardize(learned, flat)
        batch = Batch(
            obs=kept_in_batch(obs, flat, length),
            action=kept_in_batch(data.action, flat, length),
            old=kept_in_batch(data.old, flat, length),
            advantage=learned,
            weight=flat,
            progress=progress(state),
            starts=None if length is None else in_batch(first_rows(data), length),
            memory=jax.tree.map(in_batch, data.memory),
        )
        return batch, judged, judged.value + advantage

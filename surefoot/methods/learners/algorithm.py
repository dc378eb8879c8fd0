"""`Algorithm`: advantages, then an update of the policy, then one of the critic.

Nothing here knows which method it runs: that is all in the two `Update`s.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from surefoot.core.data.advantages import gae, standardize
from surefoot.core.data.reward_scaling import Scaler
from surefoot.core.data.segments import (
    finished,
    first_rows,
    in_batch,
    kept_in_batch,
    terminations,
)
from surefoot.core.data.types import Batch, Scalar, Trajectory
from surefoot.core.networks import Critic, Policy
from surefoot.core.updates import Update
from surefoot.methods.learners.diagnostics import Metrics
from surefoot.methods.learners.judged import Judged, judge, segment_length, to_fit
from surefoot.methods.learners.learner import Learner, TrainState, progress
from surefoot.methods.learners.reuse import (
    Related,
    newest_columns,
    related,
    remembering,
    with_earlier,
)


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
    batches: int = eqx.field(static=True, default=1, kw_only=True)
    """Iterations whose trajectories an update learns from, the newest included."""
    corrected: bool = eqx.field(static=True, default=True, kw_only=True)
    """Whether actions of earlier policies count in advantages by their ratio (`reuse`)."""

    def init_update_states(
        self, key: PRNGKeyArray, policy: Policy, critic: Critic | None
    ) -> tuple[Any, Any]:
        critic_state = None if self.critic_update is None else self.critic_update.init(critic)
        return self.policy_update.init(policy), critic_state

    def behavior(self, state: TrainState, key: PRNGKeyArray) -> Policy:
        return state.policy

    @property
    def remembers(self) -> int:
        return self.batches - 1

    def improve(
        self, state: TrainState, data: Trajectory
    ) -> tuple[TrainState, Batch | None, Metrics]:
        key, policy_key = jax.random.split(state.key)
        data = data._replace(terminated=terminations(data))
        done = (data.terminated | data.truncated) & data.valid
        scaler = state.scaler.update(data.reward, done, data.valid, self.discount)
        updated = state.normalizer.update(data.obs, data.valid)
        normalizer = state.normalizer.readied(updated)
        rows, critic_memory = with_earlier(state, data)
        obs, length = normalizer(rows.obs), segment_length(data)
        seen = related(state, rows, obs, data, corrected=self.corrected)
        judged = judge(state.critic, critic_memory, obs, normalizer, rows)
        batch, target = self._learned_from(state, rows, obs, seen, judged, scaler)
        learned = self.policy_update(policy_key, state.policy, state.policy_state, batch)
        policy, policy_state, info = learned
        critic_batch = None if state.critic is None else to_fit(batch, judged, target, obs, rows)
        values = in_batch(target, length), in_batch(judged.value, length)
        metrics = Metrics.of(info, policy, batch, *values, data.valid, scaler(jnp.ones(())))
        state = remembering(state, data)._replace(
            policy=policy,
            policy_state=policy_state,
            normalizer=updated,
            scaler=scaler,
            key=key,
            steps=state.steps.plus(metrics.valid_rows),
            critic_memory=newest_columns(judged.next_memory, data),
        )
        return state, critic_batch, metrics

    def _learned_from(
        self,
        state: TrainState,
        rows: Trajectory,
        obs: PyTree[Array],
        seen: Related,
        judged: Judged,
        scaler: Scaler,
    ) -> tuple[Batch, Float[Array, "T N"]]:
        """(the policy's batch, what V(s) should be)."""
        length, dtype = segment_length(rows), judged.value.dtype
        gae_lambda: Scalar = self.gae_lambda
        weight = rows.valid.astype(dtype)
        if state.critic is None:
            gae_lambda = 1.0
            done = (rows.terminated | rows.truncated) & rows.valid
            weight = finished(done, rows.valid).astype(dtype)
        earned = scaler(rows.reward), judged.value, judged.next_value
        ends = rows.terminated, rows.truncated, rows.valid
        advantage = gae(
            *earned, *ends, discount=self.discount, gae_lambda=gae_lambda, trace=seen.trace
        )
        flat = in_batch(weight, length)
        learned = kept_in_batch(advantage, flat, length)
        if self.normalize_advantages:
            likely = flat if seen.ratio is None else flat * in_batch(seen.ratio, length)
            learned = standardize(learned, likely)
        batch = Batch(
            obs=kept_in_batch(obs, flat, length),
            action=kept_in_batch(rows.action, flat, length),
            old=kept_in_batch(seen.old, flat, length),
            advantage=learned,
            weight=flat,
            progress=progress(state),
            starts=None if length is None else in_batch(first_rows(rows), length),
            memory=jax.tree.map(in_batch, rows.memory),
            behavior=kept_in_batch(seen.behavior, flat, length),
        )
        traced = advantage if seen.trace is None else seen.trace * advantage
        return batch, judged.value + traced

"""`CostLimited`: an `Algorithm` that knows what transitions cost, and what an episode may cost.

A critic of each cost gives advantages as that of the rewards does. They are centered and never
divided by their deviation: a step is held against how far the cost of an episode is above its
limit, in the cost's own unit. That is a mean over the last episodes that ended, whole ones, and a
gradient is one over rows: the two meet by the mean length of an episode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from surefoot.common.errors import UsageError
from surefoot.core.data.advantages import gae
from surefoot.core.data.following import Following, cut_off, next_rows
from surefoot.core.data.normalization import Offset, whole
from surefoot.core.data.segments import in_batch, kept_in_batch, terminations
from surefoot.core.data.types import Batch, CostRows, Scalar, Trajectory
from surefoot.core.distributions import DiagGaussian
from surefoot.core.local_model import weighted_mean
from surefoot.core.networks import Critics, CriticsMemory, Policy
from surefoot.core.updates import Update, WithCosts
from surefoot.methods.learners.algorithm import Algorithm
from surefoot.methods.learners.diagnostics import Metrics, explained_variance
from surefoot.methods.learners.ended_episodes import EndedEpisodes
from surefoot.methods.learners.judged import Judged, judge, segment_length
from surefoot.methods.learners.learner import Learner, TrainState

#: (observations, raw actions, next observations), leaves [T, N, …], to costs [T, N] or [T, N, K].
CostFunction = Callable[[PyTree[Array], PyTree[Array], PyTree[Array]], Array]


class LimitedState(NamedTuple):
    """What is remembered from iteration to iteration."""

    inner: Any
    """The policy update's state."""
    episodes: EndedEpisodes


class LimitedMetrics(NamedTuple):
    """What an iteration did, and what its episodes cost. Of several costs, what is said of one is
    of that which is furthest above its limit."""

    learned: Metrics
    episode_cost: Float[Array, ""]
    """Mean cost of the last episodes that ended, undiscounted."""
    cost_limit: Float[Array, ""]
    """The most that an episode should cost."""
    cost_explained_variance: Float[Array, ""]
    """The same for the cost's critic as explained_variance."""
    episode_costs: Float[Array, " K"]
    """All of the mean costs."""


class CostLimited(Learner):
    """`algorithm` with limits on costs: its update finds them in `batch.costs`.

    `cost` computes them of encoded observations, raw actions and next observations, [T, N] or [T,
    N, K], on any backend; without it they are what the environment says, `info["cost"]`. Each has a
    limit on its mean over episodes, `limits`, measured on the last `window` of them, and a critic
    of its own, fitted as that of the rewards.
    """

    algorithm: Algorithm
    limits: tuple[Scalar, ...] = eqx.field(
        converter=lambda x: tuple(map(jnp.asarray, x)), default=(25.0,)
    )
    cost: CostFunction | None = eqx.field(static=True, default=None)
    discount: Scalar = eqx.field(converter=jnp.asarray, default=0.99, kw_only=True)
    gae_lambda: Scalar = eqx.field(converter=jnp.asarray, default=0.95, kw_only=True)
    window: int = eqx.field(static=True, default=20, kw_only=True)

    def __check_init__(self) -> None:
        if self.algorithm.critic_update is None or self.algorithm.remembers:
            raise UsageError(
                "an algorithm with limits on costs has a critic and learns from the newest batch"
            )

    @property
    def critic_update(self) -> Update | None:
        return self.algorithm.critic_update

    @property
    def critics(self) -> int:
        return 1 + len(self.limits)

    @property
    def asks_for_costs(self) -> bool:
        return self.cost is None

    def init_update_states(self, key: PRNGKeyArray, policy: Policy, critic: Any) -> tuple[Any, Any]:
        inner, _ = self.algorithm.init_update_states(key, policy, critic.members[0])
        assert self.critic_update is not None
        states = tuple(self.critic_update.init(member) for member in critic.members)
        episodes = EndedEpisodes.none(self.window, len(self.limits))
        return LimitedState(inner, episodes), states

    def behavior(self, state: TrainState, key: PRNGKeyArray) -> Policy:
        return state.policy

    def improve(
        self, state: TrainState, data: Trajectory
    ) -> tuple[TrainState, tuple[Batch, ...], LimitedMetrics]:
        critics: Any = state.critic
        memory: CriticsMemory = state.critic_memory
        cost = self._costs(data, state.normalizer.offset)
        spent, after = _since_start(cost, data, memory.spent)
        ended = (data.terminated | data.truncated) & data.valid
        episodes = state.policy_state.episodes.with_those(spent, data.episode_length, ended)
        length = segment_length(data)
        updated = state.normalizer.update(data.obs, data.valid)
        normalizer = state.normalizer.readied(updated)
        obs, rows = normalizer(data.obs), data._replace(terminated=terminations(data))
        judged, advantages = [], []
        for k, critic in enumerate(critics.members[1:]):
            seen = judge(critic, memory.of[1 + k], obs, normalizer, rows)
            earned = cost[..., k], seen.value, seen.next_value
            ends = rows.terminated, rows.truncated, rows.valid
            advantages.append(
                gae(*earned, *ends, discount=self.discount, gae_lambda=self.gae_lambda)
            )
            judged.append(seen)
        weight = in_batch(rows.valid.astype(cost.dtype), length)
        flat = [_centered(kept_in_batch(a, weight, length), weight) for a in advantages]
        mean, steps = self._episode(episodes, cost, data)
        gaps = tuple(mean[k] - limit for k, limit in enumerate(self.limits))
        costs = CostRows(jnp.stack(flat, axis=-1), gaps, steps)

        told = WithCosts(self.algorithm.policy_update, costs)
        algorithm = eqx.tree_at(lambda a: a.policy_update, self.algorithm, told)
        alone = state._replace(
            policy_state=state.policy_state.inner,
            critic=critics.members[0],
            critic_memory=memory.of[0],
        )
        new, batch, metrics = algorithm.improve(alone, data)
        assert batch is not None
        targets = [j.value + a for j, a in zip(judged, advantages, strict=True)]
        batches = tuple(
            _to_fit(batch, seen, target, length)
            for seen, target in zip(judged, targets, strict=True)
        )
        known = [
            explained_variance(in_batch(target, length), in_batch(seen.value, length), weight)
            for seen, target in zip(judged, targets, strict=True)
        ]
        memories = (new.critic_memory, *(seen.next_memory for seen in judged))
        state = new._replace(
            policy_state=LimitedState(new.policy_state, episodes),
            critic=critics,
            critic_memory=CriticsMemory(memories, after),
        )
        worst, limits = jnp.argmax(jnp.stack(gaps)), jnp.stack(self.limits)
        told_of = LimitedMetrics(metrics, mean[worst], limits[worst], jnp.stack(known)[worst], mean)
        return state, (batch, *batches), told_of

    def fit_critic(self, state: TrainState, pending: tuple[Batch, ...]) -> tuple[TrainState, Any]:
        critics: Any = state.critic
        key, *keys = jax.random.split(state.key, 1 + len(pending))
        assert self.critic_update is not None
        fitted = [
            self.critic_update(*parts)
            for parts in zip(keys, critics.members, state.critic_state, pending, strict=True)
        ]
        members, states, infos = (tuple(x) for x in zip(*fitted, strict=True))
        fresh: Any = Critics(members)
        return state._replace(critic=fresh, critic_state=states, key=key), infos[0]

    def _costs(self, data: Trajectory, offset: Offset | None) -> Float[Array, "T N K"]:
        """What each row costs, zero where it is no transition."""
        if self.cost is not None:
            seen = whole(data.obs, offset), data.action, whole(_next_observations(data), offset)
            found = jnp.asarray(self.cost(*seen))
        elif data.cost is not None:
            found = data.cost
        else:
            raise UsageError(
                "the environment tells no cost; accepted is info['cost'], a number, at every "
                "step, or in Python cost=, a function (obs, action, next_obs) -> costs [T, N]"
            )
        number, shape = len(self.limits), data.reward.shape
        if found.shape not in ((*shape, number), shape) or (found.ndim == 2 and number > 1):
            raise UsageError(
                f"the costs have the shape {found.shape}; accepted with {number} limits is "
                f"{(*shape, number) if number > 1 else shape}"
            )
        found = found.reshape(*shape, number).astype(data.reward.dtype)
        return jnp.where(data.valid[..., None], found, 0.0)

    def _episode(
        self, episodes: EndedEpisodes, cost: Float[Array, "T N K"], data: Trajectory
    ) -> tuple[Float[Array, " K"], Float[Array, ""]]:
        """(mean cost of an episode, its length). Before one has ended, those of an episode as long
        as the longest that runs."""
        mean, steps, some = episodes.means()
        longest = jnp.max(data.episode_length).astype(cost.dtype)
        rows = jnp.maximum(jnp.sum(data.valid), 1).astype(cost.dtype)
        rate = jnp.sum(cost, axis=(0, 1)) / rows
        mean = jnp.where(some, mean, rate * longest)
        return mean, jnp.maximum(jnp.where(some, steps, longest), 1.0)


def _since_start(
    cost: Float[Array, "T N K"], data: Trajectory, before: Float[Array, "N K"]
) -> tuple[Float[Array, "T N K"], Float[Array, "N K"]]:
    """(what each episode has cost up to and with a row, what the running ones have at the end)."""

    def step(carry: Array, row: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        spent, ended, valid = row
        total = carry + spent
        return jnp.where((ended | ~valid)[:, None], 0.0, total), total

    ended = data.terminated | data.truncated
    after, spent = jax.lax.scan(step, before, (cost, ended, data.valid))
    return spent, after


def _next_observations(data: Trajectory) -> PyTree[Array]:
    """The true next observations, leaves [T, N, …]; of images where they are other rows', too."""
    match data.next_obs:
        case Following(last, final):
            cut = cut_off(data.terminated, data.truncated, data.valid)
            return jax.tree.map(lambda a, b, c: next_rows(a, b, c, cut), data.obs, last, final)
        case next_obs:
            return next_obs


def _centered(x: Float[Array, "*B"], weight: Float[Array, "*B"]) -> Float[Array, "*B"]:
    return jnp.where(weight > 0, x - weighted_mean(x, weight), 0.0)


def _to_fit(batch: Batch, seen: Judged, target: Float[Array, "T N"], length: int | None) -> Batch:
    """What a cost's critic is fitted to, from what that of the rewards is."""
    segments = None if batch.starts is None else batch.weight.shape[1]
    old = kept_in_batch(seen.value, batch.weight, segments)[..., None]
    action = kept_in_batch(target, batch.weight, segments)[..., None]
    return batch._replace(
        action=action, old=DiagGaussian(old, jnp.zeros_like(old)), memory=seen.memory
    )

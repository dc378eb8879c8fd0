"""`Learner`: what the loop runs, whatever the method.

A learner holds no state. `init` makes a `TrainState`, `behavior` says which policy collects the
next data, and `update` is a pure function of the state and of that data: `improve`, on which alone
the next behavior depends, and then `fit_critic`, which may run beside the next collection.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from surefoot.common.part import Part
from surefoot.core.data.count import Count
from surefoot.core.data.normalization import Normalizer
from surefoot.core.data.replay_memory import Remembered, ReplayMemory
from surefoot.core.data.reward_scaling import Scaler
from surefoot.core.data.types import Behavior, Trajectory
from surefoot.core.networks import Critic, Critics, Policy
from surefoot.core.updates import Update


class TrainState(NamedTuple):
    """Everything that learning changes."""

    policy: Policy
    critic: Any
    """A `Critic`, or `Critics`; `None` without one."""
    policy_state: Any
    """State of the policy's update: optimizer moments and the like."""
    critic_state: Any
    normalizer: Normalizer
    scaler: Scaler
    key: PRNGKeyArray
    steps: Count
    """Environment steps (valid rows) learned from so far."""
    total_steps: Count
    """Environment steps of the whole run: what schedules are measured against."""
    critic_memory: Any = None
    """The critic's memory of each environment where the next trajectory begins, leaves [N, …];
    `None` for a critic without memory."""
    replay: ReplayMemory | None = None
    """Trajectories of earlier iterations; `None` for a learner that does not look back."""


class Learner(Part):
    """One turn of learning on what was collected."""

    offline: ClassVar[bool] = False
    """Whether it learns from recorded data instead of from what its behavior collects."""
    fresh_episodes: ClassVar[bool] = False
    """Whether each collection starts new episodes instead of going on with the last ones."""
    needs_single_group: ClassVar[bool] = False
    """Whether the behavior policy must see all environments in one batch."""
    sees_rewards: ClassVar[bool] = True
    """Whether it learns from rewards one by one, and not from episodes' returns or from none."""

    @property
    def remembers(self) -> int:
        """How many trajectories of earlier iterations it learns from beside the newest."""
        return 0

    @property
    def asks_for_costs(self) -> bool:
        """Whether it learns from what the environment says that transitions cost."""
        return False

    @property
    def critics(self) -> int:
        """How many critics it has, if any: one of the rewards, and one of each cost (`Critics`)."""
        return 1

    @property
    @abc.abstractmethod
    def critic_update(self) -> Update | None:
        """What fits the critic; `None` for a learner without one. In a subclass a property, or a
        field with a default."""

    @abc.abstractmethod
    def init_update_states(self, key: PRNGKeyArray, policy: Policy, critic: Any) -> tuple[Any, Any]:
        """Initial states of the policy's and the critic's updates."""

    @abc.abstractmethod
    def behavior(self, state: TrainState, key: PRNGKeyArray) -> Behavior:
        """What collects the next data. It reads nothing that `fit_critic` changes, which may still
        be going on."""

    @abc.abstractmethod
    def improve(self, state: TrainState, data: Any) -> tuple[TrainState, Any, Any]:
        """Learn all but the critic: (state, what `fit_critic` is to have, a `Batch` for instance,
        or `None` where there is no critic, metrics). `data` is
        a `Trajectory`, or what the learner learns from instead. Metrics are a named tuple, nested
        to any depth, and hold `valid_rows` (the steps behind them), `learned_rows`, `kl_mean` and,
        offline, `objective_after`."""

    def fit_critic(self, state: TrainState, pending: Any) -> tuple[TrainState, Any]:
        """Fit the critic to what `improve` left for it: (state, info)."""
        assert self.critic_update is not None, "this learner has no critic"
        key, critic_key = jax.random.split(state.key)
        critic, critic_state, info = self.critic_update(
            critic_key, state.critic, state.critic_state, pending
        )
        return state._replace(critic=critic, critic_state=critic_state, key=key), info

    def update(self, state: TrainState, data: Any) -> tuple[TrainState, Any, Any]:
        """Both: (state, metrics, the critic's info or `None`)."""
        state, pending, metrics = self.improve(state, data)
        if pending is None:
            return state, metrics, None
        state, info = self.fit_critic(state, pending)
        return state, metrics, info

    def init(
        self,
        key: PRNGKeyArray,
        policy: Policy,
        critic: Critic | Critics | None,
        *,
        normalizer: Normalizer,
        scaler: Scaler,
        total_steps: int,
        num_envs: int = 1,
        blank: Trajectory | None = None,
    ) -> TrainState:
        """The state before the first turn. `critic` must be there exactly if `critic_update` is,
        and `blank`, a trajectory of the shapes to come (`blank_trajectory`), if it `remembers`
        any."""
        if (critic is not None) != (self.critic_update is not None):
            raise ValueError("an algorithm needs both a critic and a critic_update, or neither")
        if self.remembers and blank is None:
            raise ValueError("a learner that remembers trajectories needs a blank one")
        key, states_key = jax.random.split(key)
        critic_memory = None if critic is None else critic.initial(num_envs)
        replay = None
        if self.remembers and blank is not None:
            replay = ReplayMemory.empty(Remembered(blank, critic_memory), self.remembers)
        policy_state, critic_state = self.init_update_states(states_key, policy, critic)
        return TrainState(
            policy=policy,
            critic=critic,
            policy_state=policy_state,
            critic_state=critic_state,
            normalizer=normalizer,
            scaler=scaler,
            key=key,
            steps=Count.of(0),
            total_steps=Count.of(total_steps),
            critic_memory=critic_memory,
            replay=replay,
        )


def stretched(state: TrainState, total_steps: int) -> TrainState:
    """The state with its schedules measured against so many environment steps of the whole run."""
    return state._replace(total_steps=Count.of(total_steps))


def progress(state: TrainState) -> Float[Array, ""]:
    """Fraction of the run that lies behind, in [0, 1]."""
    return jnp.minimum(state.steps.rounded() / state.total_steps.rounded(), 1.0)

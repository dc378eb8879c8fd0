"""Collecting a `Trajectory` with a policy, on the host or on the device.

`HostRollout` steps a Gymnasium vector environment with one compiled call a step; `device_rollout`
is a pure function that `scan`s a `DeviceEnv`. Both record the same things: the observation before
normalization, the raw action, the distribution it was drawn from, and the true next observation.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from surefoot.distributions import Distribution
from surefoot.envs.device import DeviceEnv, DeviceState
from surefoot.envs.host import HostEnv
from surefoot.envs.spaces import ActionMap
from surefoot.learner import Behavior
from surefoot.normalize import Normalizer
from surefoot.types import Trajectory


class HostState(NamedTuple):
    """Where the host environments stand between two trajectories."""

    obs: np.ndarray
    """Encoded observations that the next actions answer to, [N, obs]."""
    episode_return: np.ndarray
    """Raw reward since each episode began, [N]."""
    episode_length: np.ndarray
    """Transitions since each episode began, [N]."""


class RolloutTime(NamedTuple):
    """Where a host rollout's time went."""

    environment: float
    """Seconds inside the environments' step."""
    act: float
    """Seconds in the policy, with the transfer of its actions and of the trajectory."""


class HostRollout:
    """Collects `horizon` rows of every environment of a `HostEnv` into arrays of fixed size."""

    def __init__(self, env: HostEnv, horizon: int, to_env: ActionMap) -> None:
        self.env = env
        self.horizon = horizon
        self._to_env = to_env
        self._act: Any = None
        self._distributions: Any = None
        self._raw: Any = None

    def init(self, seed: int | None) -> HostState:
        """All environments at the start of an episode; without a seed their generators go on."""
        n = self.env.num_envs
        return HostState(self.env.reset(seed), np.zeros(n), np.zeros(n, np.int32))

    def compile(
        self, state: HostState, policy: Behavior, normalizer: Normalizer, key: PRNGKeyArray
    ) -> None:
        """Compile the policy for these shapes. Call once before the first trajectory."""
        arrays, static = eqx.partition((policy, normalizer), eqx.is_array)
        leaves, structure = jax.tree.flatten(arrays)

        def distributions(leaves: list[Array], obs: Array) -> Distribution:
            policy, normalizer = eqx.combine(jax.tree.unflatten(structure, leaves), static)
            return policy(normalizer(obs))

        # Flat lists cross the boundary at every step: flattening modules costs more than the
        # network at these sizes, and so does every further output. The distributions are therefore
        # computed for the whole trajectory at once, by the same parameters.
        def act(
            leaves: list[Array], obs: Array, key: PRNGKeyArray, t: Array
        ) -> tuple[Array, Array]:
            raw = distributions(leaves, obs).sample(jax.random.fold_in(key, t))
            return self._to_env(raw), raw

        args = (leaves, state.obs, key, np.int32(0))
        _, self._raw = jax.eval_shape(act, *args)
        self._act = jax.jit(act).lower(*args).compile()
        all_obs = jax.ShapeDtypeStruct((self.horizon, *state.obs.shape), state.obs.dtype)
        self._distributions = jax.jit(distributions).lower(leaves, all_obs).compile()

    def __call__(
        self, state: HostState, policy: Behavior, normalizer: Normalizer, key: PRNGKeyArray
    ) -> tuple[HostState, Trajectory, RolloutTime]:
        """The next `horizon` rows."""
        shape = (self.horizon, self.env.num_envs)
        leaves = jax.tree.leaves(eqx.filter((policy, normalizer), eqx.is_array))
        observed, next_obs = (np.empty((*shape, state.obs.shape[-1]), np.float32) for _ in "ab")
        sampled = np.empty((self.horizon, *self._raw.shape), self._raw.dtype)
        reward, returns = np.empty(shape, np.float32), np.empty(shape, np.float32)
        terminated, truncated, valid = (np.empty(shape, bool) for _ in "abc")
        lengths = np.empty(shape, np.int32)

        obs, episode_return, episode_length = state
        environment = acting = 0.0
        clock = time.perf_counter
        for t in range(self.horizon):
            # Before the step: a vector environment may overwrite its observations in place.
            observed[t] = obs
            begin = clock()
            action, raw = self._act(leaves, obs, key, np.int32(t))
            action = np.asarray(action)
            acted = clock()
            step = self.env.step(action)
            environment += clock() - acted
            acting += acted - begin

            sampled[t], next_obs[t], reward[t] = raw, step.next_obs, step.reward
            terminated[t], truncated[t], valid[t] = step.terminated, step.truncated, step.valid
            episode_return = episode_return + np.where(step.valid, step.reward, 0.0)
            episode_length = episode_length + step.valid.astype(np.int32)
            returns[t], lengths[t] = episode_return, episode_length
            done = (step.terminated | step.truncated) & step.valid
            episode_return = np.where(done, 0.0, episode_return)
            episode_length = np.where(done, 0, episode_length).astype(np.int32)
            obs = step.obs

        begin = clock()
        trajectory = Trajectory(
            obs=jnp.asarray(observed),
            action=jnp.asarray(sampled),
            old=self._distributions(leaves, observed),
            reward=jnp.asarray(reward),
            next_obs=jnp.asarray(next_obs),
            terminated=jnp.asarray(terminated),
            truncated=jnp.asarray(truncated),
            valid=jnp.asarray(valid),
            episode_return=jnp.asarray(returns),
            episode_length=jnp.asarray(lengths),
        )
        acting += clock() - begin
        next_state = HostState(obs, episode_return, episode_length)
        return next_state, trajectory, RolloutTime(environment, acting)


def device_rollout(
    env: DeviceEnv,
    horizon: int,
    to_env: ActionMap,
    state: DeviceState,
    policy: Behavior,
    normalizer: Normalizer,
    key: PRNGKeyArray,
) -> tuple[DeviceState, Trajectory]:
    """The next `horizon` rows of every environment. Pure; every row is a transition."""

    def step(state: DeviceState, step_key: PRNGKeyArray) -> tuple[DeviceState, Trajectory]:
        act_key, env_key = jax.random.split(step_key)
        dist = policy(normalizer(state.obs))
        raw = dist.sample(act_key)
        next_state, transition = env.step(state, to_env(raw), env_key)
        row = Trajectory(
            obs=state.obs,
            action=raw,
            old=dist,
            valid=jnp.ones_like(transition.terminated),
            **transition._asdict(),
        )
        return next_state, row

    return jax.lax.scan(step, state, jax.random.split(key, horizon))


class Episodes(NamedTuple):
    """The part of a trajectory that says which episodes ended in it."""

    done: Bool[Array, "T N"]
    """The row is a transition and the last one of its episode."""
    episode_return: Float[Array, "T N"]
    episode_length: Int[Array, "T N"]

    @classmethod
    def of(cls, trajectory: Trajectory) -> Episodes:
        """The episodes of a trajectory."""
        done = (trajectory.terminated | trajectory.truncated) & trajectory.valid
        return cls(done, trajectory.episode_return, trajectory.episode_length)

    def ended(self) -> tuple[np.ndarray, np.ndarray]:
        """(returns, lengths) of the episodes that ended, in time order, as NumPy arrays."""
        done, returns, lengths = (np.asarray(x) for x in self)
        return returns[done], lengths[done]

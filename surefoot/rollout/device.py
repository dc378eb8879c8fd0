"""Collecting on the device: a pure function that `scan`s a `DeviceEnv`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from surefoot.envs.device import DeviceEnv, DeviceState
from surefoot.envs.spaces import ActionMap
from surefoot.learner import Behavior
from surefoot.normalize import Normalizer
from surefoot.types import Trajectory


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

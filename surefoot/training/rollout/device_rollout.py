"""Collecting on the device: a pure function that `scan`s a `DeviceEnv`."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from surefoot.core.data.normalization import Normalizer
from surefoot.core.data.types import Behavior, Trajectory
from surefoot.envs.device.device_env import DeviceEnv, DeviceState
from surefoot.envs.spaces.actions import ActionMap


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
    template = eqx.filter_eval_shape(lambda: policy(normalizer(state.obs)))
    act_keys, env_keys = jax.vmap(jax.random.split, out_axes=1)(jax.random.split(key, horizon))

    def step(state: DeviceState, drawn: tuple[Any, PRNGKeyArray]) -> tuple[DeviceState, Trajectory]:
        noise, env_key = drawn
        dist = policy(normalizer(state.obs))
        raw = dist.draw(noise)
        next_state, transition = env.step(state, to_env(raw), env_key)
        row = Trajectory(
            obs=state.obs,
            action=raw,
            old=dist,
            valid=jnp.ones_like(transition.terminated),
            **transition._asdict(),
        )
        return next_state, row

    return jax.lax.scan(step, state, (jax.vmap(template.noise)(act_keys), env_keys))

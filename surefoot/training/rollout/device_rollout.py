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
from surefoot.training.rollout.transitions import Episodes


def device_rollout(
    env: DeviceEnv,
    horizon: int,
    to_env: ActionMap,
    state: DeviceState,
    policy: Behavior,
    normalizer: Normalizer,
    key: PRNGKeyArray,
) -> tuple[DeviceState, Trajectory, Episodes]:
    """The next `horizon` rows of every environment, and the episodes that ended in them, without
    those that were cut to bring environments out of phase. Pure; every row is a transition."""
    template = eqx.filter_eval_shape(lambda: policy(normalizer(state.obs)))
    act_keys, env_keys = jax.vmap(jax.random.split, out_axes=1)(jax.random.split(key, horizon))

    def step(state: DeviceState, drawn: tuple[Any, PRNGKeyArray]) -> tuple[DeviceState, Any]:
        noise, env_key = drawn
        dist = policy(normalizer(state.obs))
        raw = dist.draw(noise)
        next_state, transition = env.step(state, to_env(raw), env_key)
        seen = transition._asdict()
        staggered = seen.pop("staggered")
        row = Trajectory(
            obs=state.obs,
            action=raw,
            old=dist,
            valid=jnp.ones_like(transition.terminated),
            **seen,
        )
        return next_state, (row, staggered)

    drawn = jax.vmap(template.noise)(act_keys), env_keys
    state, (trajectory, staggered) = jax.lax.scan(step, state, drawn)
    return state, trajectory, Episodes.of(trajectory, staggered)

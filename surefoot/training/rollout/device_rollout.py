"""Collecting on the device: a pure function that `scan`s a `DeviceEnv`."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from surefoot.core.data.normalization import Normalizer
from surefoot.core.data.types import Behavior, Trajectory
from surefoot.envs.device.device_env import DeviceEnv, DeviceState
from surefoot.envs.spaces.actions import ActionMap
from surefoot.training.rollout.transitions import Episodes


class DeviceStanding(NamedTuple):
    """Where environments on the device stand between two trajectories."""

    env: DeviceState
    memory: Any = None
    """The acting policy's memory, leaves [N, …]; `None` without one."""


def device_rollout(
    env: DeviceEnv,
    horizon: int,
    to_env: ActionMap,
    standing: DeviceStanding,
    policy: Behavior,
    normalizer: Normalizer,
    key: PRNGKeyArray,
    *,
    segment_length: int | None = None,
) -> tuple[DeviceStanding, Trajectory, Episodes]:
    """The next `horizon` rows of every environment, and the episodes that ended in them, without
    those that were cut to bring environments out of phase. Pure; every row is a transition. The
    trajectory has the memory at the start of every `segment_length` rows, `horizon` by default."""

    def act(standing: DeviceStanding) -> tuple[Any, Any]:
        state, memory = standing
        return policy.step(normalizer(state.obs), state.age == 0, memory)

    template, _ = eqx.filter_eval_shape(act, standing)
    act_keys, env_keys = jax.vmap(jax.random.split, out_axes=1)(jax.random.split(key, horizon))

    def step(standing: DeviceStanding, drawn: tuple[Any, PRNGKeyArray]) -> tuple[Any, Any]:
        noise, env_key = drawn
        state = standing.env
        dist, memory = act(standing)
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
        return DeviceStanding(next_state, memory), (row, staggered, before(standing.memory))

    def before(memory: Any) -> Any:
        return None if segment_length in (None, horizon) else memory

    drawn = jax.vmap(template.noise)(act_keys), env_keys
    after, (trajectory, staggered, memories) = jax.lax.scan(step, standing, drawn)
    memories = jax.tree.map(lambda m: m[::segment_length], memories)
    if memories is None:
        memories = jax.tree.map(lambda m: m[None], standing.memory)
    trajectory = trajectory._replace(memory=memories)
    return after, trajectory, Episodes.of(trajectory, staggered)

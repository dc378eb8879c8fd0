"""Collecting on the device: a pure function that `scan`s a `DeviceEnv`."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from surefoot.core.data.following import Following, cut_off
from surefoot.core.data.normalization import Normalizer
from surefoot.core.data.types import Behavior, Trajectory
from surefoot.envs.device.device_env import DeviceEnv, DeviceState, DeviceTransition
from surefoot.envs.spaces.actions import ActionMap
from surefoot.envs.spaces.encoding import Encoding
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

    kept = _Finals.of(env, horizon, standing.env)
    template, _ = eqx.filter_eval_shape(act, standing)
    act_keys, env_keys = jax.vmap(jax.random.split, out_axes=1)(jax.random.split(key, horizon))

    def step(carry: Any, drawn: tuple[Any, PRNGKeyArray]) -> tuple[Any, Any]:
        (standing, finals), (noise, env_key) = carry, drawn
        state = standing.env
        dist, memory = act(standing)
        raw = dist.draw(noise)
        next_state, transition = env.step(state, to_env(raw), env_key)
        seen = transition._asdict()
        staggered = seen.pop("staggered")
        if finals is not None:
            finals = finals.with_those_of(transition)
            seen["next_obs"] = None
        row = Trajectory(
            obs=state.obs,
            action=raw,
            old=dist,
            valid=jnp.ones_like(transition.terminated),
            **seen,
        )
        report = row, staggered, before(standing.memory)
        return (DeviceStanding(next_state, memory), finals), report

    def before(memory: Any) -> Any:
        return None if segment_length in (None, horizon) else memory

    drawn = jax.vmap(template.noise)(act_keys), env_keys
    (after, finals), rows = jax.lax.scan(step, (standing, kept), drawn)
    trajectory, staggered, memories = rows
    if finals is not None:
        last = jax.tree.map(lambda x: x[None], after.env.obs)
        trajectory = trajectory._replace(next_obs=Following(last, finals.images))
    memories = jax.tree.map(lambda m: m[::segment_length], memories)
    if memories is None:
        memories = jax.tree.map(lambda m: m[None], standing.memory)
    trajectory = trajectory._replace(memory=memories)
    return after, trajectory, Episodes.of(trajectory, staggered)


class _Finals(NamedTuple):
    """What episodes came to that were cut off so far."""

    images: PyTree[Array]
    """Leaves [K, N, …]."""
    met: Int[Array, " N"]
    """How many an environment has."""

    @classmethod
    def of(cls, env: DeviceEnv, horizon: int, state: DeviceState) -> _Finals | None:
        """Room for all that `horizon` steps may have; `None` where observations are no images."""
        if not Encoding(env.observation_space).images:
            return None
        slots = 1 if env.time_limit is None else 1 + (horizon - 1) // env.time_limit
        room = jax.tree.map(lambda x: jnp.zeros((slots, *x.shape), x.dtype), state.obs)
        return cls(room, jnp.zeros_like(state.age))

    def with_those_of(self, transition: DeviceTransition) -> _Finals:
        cut = cut_off(transition.terminated, transition.truncated, True)
        each = jnp.arange(cut.shape[0])

        def kept(room: Array, image: Array) -> Array:
            cuts = jnp.expand_dims(cut, range(1, image.ndim))
            return room.at[self.met, each].set(jnp.where(cuts, image, room[self.met, each]))

        images = jax.tree.map(kept, self.images, transition.next_obs)
        return _Finals(images, self.met + cut.astype(self.met.dtype))

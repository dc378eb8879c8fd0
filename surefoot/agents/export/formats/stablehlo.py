"""A policy's most probable action as a serialized StableHLO program, which JAX loads on a CPU, GPU
or TPU without surefoot. `jax.export` promises that a later JAX reads it for six months."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from gymnasium import spaces

from surefoot.agents.export.formats.ports import BATCH, inputs
from surefoot.agents.export.formats.provenance import Origin
from surefoot.agents.playing.episodes import act
from surefoot.core.data.normalization import offset_of
from surefoot.envs.spaces.encoding import Encoding

if TYPE_CHECKING:
    from surefoot.agents.agent import Agent

_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def to_stablehlo(agent: Agent, origin: Origin) -> bytes:
    """The file. Its one argument is a batch of observations as the environment has them: an array,
    or a dict or tuple of arrays."""
    inputs(agent.observation_space)
    space, dtype = agent.observation_space, agent.action_space.dtype
    to_env = agent.spec.to_environment()

    def policy(observation: Any) -> Any:
        action, _ = act(
            agent.policy,
            agent.normalizer,
            to_env,
            Encoding(space)(observation, jnp, offset=offset_of(agent.normalizer)),
            None,
            None,
            jax.random.key(0),  # Of no use: nothing is sampled.
            deterministic=True,
        )
        return action.astype(dtype)

    (batch,) = jax.export.symbolic_shape(BATCH)
    # The environment's own types may be of 64 bits.
    with jax.enable_x64(True):
        exported = jax.export.export(jax.jit(policy), platforms=_PLATFORMS)(_like(space, batch))
        return bytes(exported.serialize())


def _like(space: spaces.Space, batch: Any) -> Any:
    match space:
        case spaces.Dict():
            return {key: _like(part, batch) for key, part in space.items()}
        case spaces.Tuple():
            return tuple(_like(part, batch) for part in space)
        case _:
            return jax.ShapeDtypeStruct((batch, *(space.shape or ())), space.dtype)

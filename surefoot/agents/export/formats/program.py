"""What an exported policy computes, as one function in JAX: the action that `Agent.predict` gives.

It takes what the environment gives, and gives what the environment takes; the normalization of
observations and the map to the environment's actions are inside. Every format writes down this
function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from gymnasium import spaces

from surefoot.agents.export.formats.ports import BATCH, Interface, named_state, ports
from surefoot.agents.playing.episodes import act, as_actions
from surefoot.core.data.normalization import offset_of
from surefoot.envs.spaces.encoding import Encoding

if TYPE_CHECKING:
    from surefoot.agents.agent import Agent


def program(agent: Agent) -> Callable[..., tuple[Any, ...]]:
    """The function: (observation) ↦ (action), or of a policy with a memory (observation, state,
    reset) ↦ (action, next state), batches that are nested as their spaces are. It is traced with
    types of 64 bits enabled, which an environment may have."""
    policy, normalizer, to_env = agent.policy, agent.normalizer, agent.spec.to_environment()
    encoding, offset = Encoding(agent.observation_space), offset_of(agent.normalizer)
    key = jax.random.key(0)  # Of no use: nothing is sampled.

    def run(observation: Any, state: Any = None, reset: Any = None) -> tuple[Any, ...]:
        seen, memory = encoding(observation, jnp, offset=offset), _memory(policy, state)
        # In the types in which the agent acts, whatever those of the environment are.
        with jax.enable_x64(False):
            action, after = act(
                policy, normalizer, to_env, seen, reset, memory, key, deterministic=True
            )
        action = as_actions(agent.action_space, action, jnp)
        return (action,) if state is None else (action, named_state(after))

    return run


def _memory(policy: Any, state: Any) -> Any:
    """The memory that `named_state` made this of; `None` of `None`."""
    if state is None:
        return None
    like = jax.eval_shape(lambda: policy.initial(1))
    names = named_state(like)
    # By name: JAX sorts the keys of dicts.
    leaves = [state[name] for name in names] if isinstance(names, dict) else [state]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def arguments(interface: Interface, batch: Any) -> list[Any]:
    """The shapes and types of what the function takes, for a batch of that size."""
    return [
        nested(
            space,
            (jax.ShapeDtypeStruct((batch, *p.shape), p.dtype) for p in ports(space, name)),
        )
        for name, space in interface.takes.items()
    ]


def symbolic_batch() -> Any:
    """A batch of any size."""
    (batch,) = jax.export.symbolic_shape(BATCH)
    return batch


def nested(space: spaces.Space, parts: Iterable[Any]) -> Any:
    """The parts, one for each port, nested as the space is."""
    left = iter(parts)

    def put(space: spaces.Space) -> Any:
        match space:
            case spaces.Dict():
                return {key: put(part) for key, part in space.items()}
            case spaces.Tuple():
                return tuple(map(put, space))
            case _:
                return next(left)

    return put(space)

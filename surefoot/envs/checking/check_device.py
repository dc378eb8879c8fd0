"""What a functional environment returns, by the shapes that JAX gives its functions: nothing is
computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from surefoot.common.errors import UsageError
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.spaces.trees import empty_of, map_arrays


def check_device_env(env: DeviceEnv) -> None:
    """Raise `UsageError` where observations are none of the space, or rewards and ends of episodes
    no scalars. What a function itself raises passes through."""
    functions, key = env.env, jax.eval_shape(jax.random.key, 0)
    state = jax.eval_shape(functions.initial, key)
    action = map_arrays(_one, empty_of(env.action_space))
    after = jax.eval_shape(functions.transition, state, action, key)
    if _shapes(after) != _shapes(state):
        wanted = f"a state as initial's, {_text(state)}"
        raise _unfit(env, f"transition gives {_text(after)}", wanted)
    _check(env, env.observation_space, jax.eval_shape(functions.observation, state, key))
    reward = jax.eval_shape(functions.reward, state, action, after, key)
    terminal = jax.eval_shape(functions.terminal, after, key)
    for name, value in (("reward", reward), ("terminal", terminal)):
        if getattr(value, "shape", None) != ():
            raise _unfit(env, f"{name} gives {_text(value)}", "a scalar of each environment")


def _one(rows: np.ndarray) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(rows.shape[1:], jax.dtypes.canonicalize_dtype(rows.dtype))


def _check(env: DeviceEnv, space: spaces.Space, obs: Any, name: str = "observation") -> None:
    match space:
        case spaces.Dict():
            if not isinstance(obs, Mapping) or set(space) - set(obs):
                keys = f"a dict with the keys {sorted(space)}"
                raise _unfit(env, f"{name} is {_text(obs)}", keys)
            for key, part in space.items():
                _check(env, part, obs[key], f"{name}[{key!r}]")
        case spaces.Tuple():
            if not isinstance(obs, tuple | list) or len(obs) != len(space):
                raise _unfit(env, f"{name} is {_text(obs)}", f"a tuple of {len(space)}")
            for i, part in enumerate(space):
                _check(env, part, obs[i], f"{name}[{i}]")
        case _:
            if getattr(obs, "shape", None) != (space.shape or ()) or not _is_real(obs):
                wanted = f"an array of the shape {space.shape or ()}, the observation space's"
                raise _unfit(env, f"{name} is {_text(obs)}", wanted)


def _is_real(value: Any) -> bool:
    return bool(jnp.issubdtype(value.dtype, jnp.number) or value.dtype == bool) and not bool(
        jnp.issubdtype(value.dtype, jnp.complexfloating)
    )


def _shapes(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [leaf.shape for leaf in leaves]


def _text(tree: Any) -> str:
    def one(leaf: Any) -> str:
        return f"{leaf.dtype}{list(leaf.shape)}"

    return " ".join(str(jax.tree.map(one, tree)).replace("'", "").split())


def _unfit(env: DeviceEnv, what: str, accepted: str) -> UsageError:
    return UsageError(f"{env.name}: {what}; accepted is {accepted}: fix the environment")

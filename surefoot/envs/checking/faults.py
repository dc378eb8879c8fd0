"""What an environment may return, value by value: each function says what is wrong in words, or
nothing."""

from __future__ import annotations

import inspect
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from surefoot.common.errors import in_short


def space_fault(env: Any, name: str) -> str | None:
    """What is wrong with the space of that name."""
    space = getattr(env, name, None)
    if isinstance(space, spaces.Space):
        return None
    return (
        f"{name} is {in_short(space)}; accepted is a space of gymnasium.spaces: set self.{name} in "
        "__init__"
    )


def signature_fault(env: gymnasium.Env) -> str | None:
    """What is wrong with the parameters of `reset`."""
    reset = env.unwrapped.reset
    try:
        signature = inspect.signature(reset)
    except ValueError:  # One that is not written in Python tells none.
        return None
    try:
        signature.bind(seed=0, options=None)
    except TypeError:
        return (
            f"reset takes {signature}; accepted is reset(self, *, seed=None, options=None): take "
            "both, and begin with super().reset(seed=seed)"
        )
    return None


def reset_fault(result: Any) -> str | None:
    """What is wrong with the kind of thing that a reset returned."""
    if isinstance(result, tuple) and len(result) == 2:
        return None
    return (
        f"reset returned {_count(result)}; accepted is the pair (observation, info): return "
        "observation, {}"
    )


def step_fault(result: Any) -> str | None:
    """What is wrong with the kind of thing that a step returned."""
    if isinstance(result, tuple) and len(result) == 5:
        return None
    return (
        f"step returned {_count(result)}; accepted are five values (observation, reward, "
        "terminated, truncated, info): a done of the old interface is terminated, or truncated if "
        "it is a time limit"
    )


def _count(result: Any) -> str:
    return f"{len(result)} values" if isinstance(result, tuple) else f"a {type(result).__name__}"


def observation_fault(space: spaces.Space, obs: Any, name: str = "the observation") -> str | None:
    """What is wrong with an observation of that space."""
    match space:
        case spaces.Dict():
            if not isinstance(obs, dict) or set(obs) != set(space):
                found = sorted(obs) if isinstance(obs, dict) else f"a {type(obs).__name__}"
                return f"{name} has {found}; accepted is a dict with the keys {sorted(space)}"
            pairs = [(space[key], obs[key], f"{name}[{key!r}]") for key in space]
        case spaces.Tuple():
            if not isinstance(obs, tuple) or len(obs) != len(space):
                return (
                    f"{name} is {in_short(obs)}; accepted is a tuple of {len(space)}, as in {space}"
                )
            pairs = [(space[i], part, f"{name}[{i}]") for i, part in enumerate(obs)]
        case spaces.Box():
            return _box_fault(space, obs, name)
        case _:
            if space.contains(obs):
                return None
            return f"{name} is {in_short(obs)}; accepted is what lies in {space}: fix either"
    return next(filter(None, (observation_fault(*pair) for pair in pairs)), None)


def _box_fault(space: spaces.Box, obs: Any, name: str) -> str | None:
    if not isinstance(obs, np.ndarray | np.generic):
        return f"{name} is a {type(obs).__name__}; accepted is a NumPy array: return np.array(…)"
    if obs.shape != space.shape:
        return (
            f"{name} has the shape {obs.shape}; accepted is {space.shape}, the observation "
            "space's: fix either"
        )
    if obs.dtype != space.dtype:
        return (
            f"{name} has the dtype {obs.dtype}; accepted is {space.dtype}, the observation "
            f"space's: return it .astype({space.dtype}), or declare the space with {obs.dtype}"
        )
    if np.issubdtype(obs.dtype, np.floating) and not np.isfinite(obs).all():
        where = np.argwhere(~np.isfinite(np.atleast_1d(obs)))[0].tolist()
        return (
            f"{name} holds {np.atleast_1d(obs)[tuple(where)]} at {where}; accepted are finite "
            "numbers: look for a division by zero or a simulation that diverged"
        )
    values, low, high = map(np.atleast_1d, (obs, space.low, space.high))
    outside = np.argwhere((values < low) | (values > high))
    if len(outside):
        at = tuple(outside[0].tolist())
        return (
            f"{name} holds {values[at]} at {list(at)}; accepted is {low[at]} to {high[at]}, the "
            "observation space's bounds: clip it, or widen the space"
        )
    return None


def reward_fault(reward: Any) -> str | None:
    """What is wrong with a reward."""
    array = np.asarray(reward)
    number = np.issubdtype(array.dtype, np.number) or array.dtype == bool
    if array.ndim or not number or np.iscomplexobj(array):
        return f"the reward is {in_short(reward)}; accepted is one number: return float(reward)"
    if not np.isfinite(array):
        return (
            f"the reward is {reward}; accepted is a finite number: look for a division by zero or "
            "the logarithm of one"
        )
    return None


def flag_fault(name: str, flag: Any) -> str | None:
    """What is wrong with `terminated` or `truncated`."""
    if isinstance(flag, bool | np.bool_):
        return None
    return f"{name} is {in_short(flag)}; accepted are True and False: return bool({name})"


def info_fault(info: Any) -> str | None:
    """What is wrong with the info of a step or a reset."""
    if isinstance(info, dict):
        return None
    return f"the info is {in_short(info)}; accepted is a dict: return {{}} where there is nothing"


def same(one: Any, other: Any) -> bool:
    """Whether two observations, or other results, are equal; NaN is equal to NaN."""
    if isinstance(one, dict) and isinstance(other, dict):
        return set(one) == set(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    a, b = np.asarray(one), np.asarray(other)
    return np.array_equal(a, b, equal_nan=a.dtype.kind in "fc" and b.dtype.kind in "fc")

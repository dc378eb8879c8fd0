"""What an environment returns in its first steps, checked while it is played.

What cannot be learned from is refused in the words of `check_env`. What can, a dtype that is not
the space's or a value beyond its bounds, is left to `check_env`, and what is not finite to whoever
learns. No JAX is imported, so that a worker process can use it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv

from surefoot.common.errors import UsageError
from surefoot.envs.checking import faults
from surefoot.envs.spaces.observations import leading_dimensions

#: Steps of each environment that are checked, with the resets among them.
CHECKED = 100


def check_made(env: Any) -> None:
    """Raise `UsageError` unless it is an environment, with spaces and a reset that takes a seed."""
    if not isinstance(env, gymnasium.Env):
        raise UsageError(
            f"what was to make an environment made a {type(env).__name__}; accepted is a "
            "gymnasium.Env: 'surefoot check-env' says more"
        )
    for name in ("observation_space", "action_space"):
        _refuse(called(env), faults.space_fault(env, name))
    _refuse(called(env), faults.signature_fault(env))


def make_checked(make: Callable[[], Any]) -> Any:
    """What `make` makes. Raises `UsageError` for what Gymnasium's own checker refuses."""
    return _without_assertions("that was to be made", make)


def checked_reset(env: gymnasium.Env, **options: Any) -> tuple[Any, Any]:
    """`env.reset(**options)`. Raises `UsageError` where what it returns cannot be learned from."""
    result = _without_assertions(called(env), lambda: env.reset(**options))
    _refuse(called(env), faults.reset_fault(result))
    _check_observation(env, result[0])
    return result


def checked_step(env: gymnasium.Env, action: Any) -> tuple[Any, Any, Any, Any, Any]:
    """`env.step(action)`, likewise."""
    result = _without_assertions(called(env), lambda: env.step(action))
    _refuse(called(env), faults.step_fault(result))
    obs, reward, terminated, truncated, _ = result
    _check_observation(env, obs)
    if not _is_number(reward):
        _refuse(called(env), faults.reward_fault(reward))
    for name, flag in (("terminated", terminated), ("truncated", truncated)):
        if not _is_number(flag):
            _refuse(called(env), faults.flag_fault(name, flag))
    return result


def checked_vector_reset(envs: VectorEnv, seed: int | None) -> tuple[Any, Any]:
    """`envs.reset(seed=seed)` of a vector environment, likewise."""
    result = envs.reset(seed=seed)
    _refuse(called(envs), faults.reset_fault(result))
    _check_batch(envs, result[0])
    return result


def checked_vector_step(envs: VectorEnv, action: np.ndarray) -> tuple[Any, Any, Any, Any, Any]:
    """`envs.step(action)` of a vector environment, likewise."""
    result = envs.step(action)
    _refuse(called(envs), faults.step_fault(result))
    _check_batch(envs, result[0])
    for name, values in zip(("reward", "terminated", "truncated"), result[1:4], strict=True):
        if np.shape(values) != (envs.num_envs,) or np.asarray(values).dtype.kind not in "biuf":
            _refuse(
                called(envs),
                f"{name} has the shape {np.shape(values)} and is of {np.asarray(values).dtype}; "
                f"accepted is an array of one number for each of the {envs.num_envs} environments",
            )
    return result


def called(env: Any) -> str:
    """What an environment is called in a message."""
    spec = getattr(env, "spec", None)
    return str(spec.id) if spec is not None else type(env.unwrapped).__name__


def _without_assertions(name: str, call: Callable[[], Any]) -> Any:
    """What the call returns. Gymnasium's own checker comes first where `gymnasium.make` put it
    around the environment, and ends in an assertion."""
    try:
        return call()
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        if frame.filename.endswith("passive_env_checker.py"):
            _refuse(name, " ".join(str(error).split()))
        raise


def _check_observation(env: gymnasium.Env, obs: Any) -> None:
    space = env.observation_space
    if leading_dimensions(space, obs) != ():
        _refuse(called(env), faults.observation_fault(space, obs))


def _check_batch(envs: VectorEnv, obs: Any) -> None:
    space, count = envs.single_observation_space, envs.num_envs
    found = leading_dimensions(space, obs)
    if found != (count,):
        what = "no batch of observations" if found is None else f"a batch {list(found)} of them"
        _refuse(
            called(envs),
            f"the observation is {what}; accepted is one of {count}, each of "
            f"{' '.join(str(space).split())}",
        )


def _is_number(value: Any) -> bool:
    array = np.asarray(value)
    return array.ndim == 0 and array.dtype.kind in "biuf"


def _refuse(name: str, fault: str | None) -> None:
    if fault is not None:
        raise UsageError(f"environment {name}: {fault} ('surefoot check-env' says more)")

"""Gymnasium environments on the host, whatever their auto-reset convention.

`HostEnv` wraps a Gymnasium vector environment and returns, for every step, the *true* next
observation, which rows are transitions, and the observation that the next action answers to. Two
conventions are understood, as declared by the vector environment's metadata:

* SAME_STEP: at an episode's end the reset observation is returned and the true last one lies in
  `info["final_obs"]`. Every row is a transition. This is what `make_host` asks for.
* NEXT_STEP: the true last observation is returned, and the following step ignores its action and
  returns the reset observation. That row is no transition.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from surefoot.envs.spaces import check_observation_space, encode
from surefoot.errors import UsageError, closest

Vectorization = Literal["sync", "async"]
EnvSource = str | Callable[[], gymnasium.Env] | VectorEnv


class HostTransition(NamedTuple):
    """What one step of `N` environments returned. Arrays are NumPy, [N, …]."""

    obs: np.ndarray
    """Encoded observation that the next action answers to, float32."""
    next_obs: np.ndarray
    """Encoded true next observation, float32."""
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    valid: np.ndarray
    """Whether this row is a transition."""


class HostEnv:
    """A Gymnasium vector environment with one meaning of a step."""

    def __init__(self, envs: VectorEnv, *, name: str) -> None:
        mode = envs.metadata.get("autoreset_mode")
        if mode not in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP):
            raise UsageError(
                f"{name}: auto-reset mode {getattr(mode, 'name', mode)} is not supported; accepted "
                "are NEXT_STEP and SAME_STEP, declared in the vector environment's "
                'metadata["autoreset_mode"]'
            )
        check_observation_space(envs.single_observation_space)
        self.envs = envs
        self.name = name
        self.num_envs = int(envs.num_envs)
        self.observation_space: spaces.Space = envs.single_observation_space
        self.action_space: spaces.Space = envs.single_action_space
        self._same_step = mode == AutoresetMode.SAME_STEP
        self._resetting = np.zeros(self.num_envs, bool)

    def reset(self, seed: int | None = None) -> np.ndarray:
        """Start an episode everywhere; sub-environment i is seeded with seed + i."""
        obs, _ = self.envs.reset(seed=seed)
        self._resetting = np.zeros(self.num_envs, bool)
        return encode(self.observation_space, obs)

    def step(self, action: np.ndarray) -> HostTransition:
        """Step every environment once."""
        raw, reward, terminated, truncated, info = self.envs.step(action)
        obs = encode(self.observation_space, raw)
        done = terminated | truncated
        if self._same_step:
            valid = np.ones(self.num_envs, bool)
            next_obs = self._with_final(obs, done, info) if done.any() else obs
        else:
            valid = ~self._resetting
            next_obs = obs
            self._resetting = done & valid
        return HostTransition(obs, next_obs, reward, terminated, truncated, valid)

    def _with_final(self, obs: np.ndarray, done: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        next_obs = obs.copy()
        for i in np.flatnonzero(done):
            next_obs[i] = encode(self.observation_space, info["final_obs"][i])
        return next_obs

    def close(self) -> None:
        """Close the environments; worker processes end."""
        self.envs.close()


def make_host(
    source: EnvSource,
    num_envs: int,
    *,
    vectorization: Vectorization = "sync",
    autoreset: AutoresetMode = AutoresetMode.SAME_STEP,
) -> HostEnv:
    """A `HostEnv` of `num_envs` copies, from a Gymnasium id or a callable that makes one; a vector
    environment is taken as it is, and must have `num_envs` copies.

    "sync" steps the copies in this process, "async" in one worker process each.
    """
    if isinstance(source, VectorEnv):
        if source.num_envs != num_envs:
            raise UsageError(
                f"the vector environment has {source.num_envs} copies and num_envs is {num_envs}: "
                f"pass num_envs={source.num_envs}"
            )
        return HostEnv(source, name=_name(source))
    # Workers are started afresh: forking a process that already runs JAX's threads can deadlock.
    extra: dict[str, Any] = {"context": "forkserver"} if vectorization == "async" else {}
    if isinstance(source, str):
        name = check_env_id(source)
        if str(gymnasium.spec(name).entry_point).startswith("gymnasium.envs.mujoco"):
            _quiet_mujoco()
        try:
            envs = gymnasium.make_vec(
                name,
                num_envs=num_envs,
                vectorization_mode=vectorization,
                vector_kwargs={"autoreset_mode": autoreset, **extra},
            )
        except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
            raise UsageError(
                f"environment {name!r} needs a package that is not installed: "
                f"{str(error).splitlines()[0]}"
            ) from error
        return _owned(envs, name)
    if not callable(source):
        raise UsageError(
            f"environment {source!r}; accepted are a Gymnasium id, a callable that makes an "
            "environment, a Gymnasium vector environment, or surefoot.DeviceEnv(env)"
        )
    vector_class = AsyncVectorEnv if vectorization == "async" else SyncVectorEnv
    vector = vector_class([source] * num_envs, autoreset_mode=autoreset, **extra)
    return _owned(vector, _name(vector))


def _owned(envs: VectorEnv, name: str) -> HostEnv:
    """The host environment, or its refusal with the copies, and their processes, closed."""
    try:
        return HostEnv(envs, name=name)
    except UsageError:
        envs.close()
        raise


def _name(envs: VectorEnv) -> str:
    spec = getattr(envs, "spec", None)
    return spec.id if spec is not None else type(envs).__name__


def check_env_id(env_id: str) -> str:
    """The id, if Gymnasium knows it and what it needs is installed; `UsageError` otherwise."""
    try:
        spec = gymnasium.spec(env_id)
    except gymnasium.error.Error as error:
        near = closest(env_id, list_env_ids())
        reason = "" if near else f" ({str(error).splitlines()[0]})"
        raise UsageError(
            f"environment {env_id!r} is not registered with Gymnasium{reason}; "
            f"'surefoot list envs' shows those that are.{near}"
        ) from None
    for prefix, needs, install in _EXTRAS:
        if str(spec.entry_point).startswith(prefix) and importlib.util.find_spec(needs) is None:
            raise UsageError(
                f"environment {env_id!r} needs the package {needs!r}: pip install '{install}'"
            )
    return env_id


_EXTRAS = (
    ("gymnasium.envs.mujoco", "mujoco", "surefoot[mujoco]"),
    ("gymnasium.envs.box2d", "Box2D", "gymnasium[box2d]"),
)


def _quiet_mujoco() -> None:
    """MuJoCo says, once for every copy, that Gymnasium's own models use an attribute that will go,
    and writes it to a file in the working folder too. Nobody who trains can mend that: this one
    message is dropped, and every other becomes a Python warning."""
    import mujoco

    def handler(message: str) -> None:
        if "'settotalmass' is deprecated" not in message:
            warnings.warn(f"MuJoCo: {message.strip()}", RuntimeWarning, stacklevel=2)

    mujoco.set_mju_user_warning(handler)


def list_env_ids() -> list[str]:
    """All ids registered with Gymnasium, sorted."""
    return sorted(gymnasium.registry)

"""A walk in the plane, as a Gymnasium environment and as a functional one, for every kind of action
space.

An action pushes the walker, and noise does, too. An episode ends where the walker is far out, which
happens to some, and is cut off after `TIME_LIMIT` steps, which happens to others. Both forms have
the same dynamics and constants, and random numbers of their own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

import surefoot as sf

TIME_LIMIT = 7
FAR = 0.8
_AXES = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], np.float32)


class Kind(NamedTuple):
    """An action space, and what an action pushes."""

    space: spaces.Space
    push: Any
    """(action, NumPy or its like) → push [2], each within ±1."""


KINDS = {
    "categorical": Kind(spaces.Discrete(4), lambda action, xp: xp.asarray(_AXES)[action]),
    "gaussian": Kind(
        spaces.Box(-1.0, 1.0, (2,), np.float32), lambda action, xp: xp.clip(action, -1, 1)
    ),
    "multi_categorical": Kind(spaces.MultiDiscrete([3, 3]), lambda action, xp: action - 1.0),
    "bernoulli": Kind(spaces.MultiBinary(2), lambda action, xp: 2.0 * action - 1.0),
}
_SEEN = spaces.Box(-np.inf, np.inf, (2,), np.float32)


def _moved(at: Any, push: Any, noise: Any) -> Any:
    return 0.9 * at + 0.2 * push + 0.2 * noise


class OnHost(gymnasium.Env):
    """The walk as a Gymnasium environment."""

    observation_space = _SEEN

    def __init__(self, kind: str) -> None:
        self._kind = KINDS[kind]
        self.action_space = self._kind.space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._age, self._at = 0, self.np_random.uniform(-0.5, 0.5, 2)
        return self._at.astype(np.float32), {}

    def step(self, action):
        self._age += 1
        self._at = _moved(self._at, self._kind.push(action, np), self.np_random.normal(size=2))
        far = bool(np.abs(self._at).max() > FAR)
        reward = 1.0 - float((self._at**2).sum())
        return self._at.astype(np.float32), reward, far, self._age >= TIME_LIMIT, {}


class OnDevice:
    """The walk as pure functions."""

    observation_space = _SEEN

    def __init__(self, kind: str) -> None:
        self._kind = KINDS[kind]
        self.action_space = self._kind.space

    def initial(self, rng):
        return jax.random.uniform(rng, (2,), minval=-0.5, maxval=0.5)

    def transition(self, state, action, rng):
        return _moved(state, self._kind.push(action, jnp), jax.random.normal(rng, (2,)))

    def observation(self, state, rng):
        return state

    def reward(self, state, action, next_state, rng):
        return 1.0 - (next_state**2).sum()

    def terminal(self, state, rng):
        return jnp.abs(state).max() > FAR


def categorical() -> OnHost:
    return OnHost("categorical")


def gaussian() -> OnHost:
    return OnHost("gaussian")


def multi_categorical() -> OnHost:
    return OnHost("multi_categorical")


def bernoulli() -> OnHost:
    return OnHost("bernoulli")


def task(name: str, backend: str) -> Any:
    """What `train` takes as an environment."""
    if name not in KINDS:
        return name
    if backend == "device":
        return sf.DeviceEnv(OnDevice(name), time_limit=TIME_LIMIT, name=name)
    return globals()[name]

"""Masks of valid actions that an environment gives beside its observations.

Two conventions are understood: a method `action_masks()`, as sb3-contrib's maskable PPO has it, and
`info["action_mask"]`, as Gymnasium's Taxi has it. `WithActionMask` puts either into the
observation, where a mask of a `Dict` observation lies anyway; the rest of the library knows no
other place. No JAX is imported, so that a worker process can use it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import gymnasium
import numpy as np

from surefoot.common.errors import UsageError, in_short
from surefoot.common.settings import ActionMasks
from surefoot.envs.spaces.masks import (
    ACTION_MASK,
    flat_mask,
    has_mask,
    mask_size,
    with_mask,
    with_mask_space,
)

#: The method's name.
METHOD = "action_masks"


def mask_source(env: gymnasium.Env, masks: ActionMasks) -> Literal["method", "info"] | None:
    """Where an environment gives the masks that are wanted, beside its observations; `None` where
    it gives none, or in its observations."""
    given = has_mask(env.observation_space)
    if masks == "none" or given or mask_size(env.action_space) is None:
        return None
    if masks == "info":
        return "info"
    own = env.has_wrapper_attr(METHOD) and callable(env.get_wrapper_attr(METHOD))
    return "method" if own else None


class WithActionMask(gymnasium.Wrapper):
    """An environment whose observations say which actions are valid."""

    def __init__(self, env: gymnasium.Env, source: Literal["method", "info"]) -> None:
        super().__init__(env)
        self._source = source
        size = mask_size(env.action_space)
        assert size is not None
        self._size = size
        self.observation_space = with_mask_space(env.observation_space, size)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        obs, info = self.env.reset(seed=seed, options=options)
        return self._with_mask(obs, info), info

    def step(self, action: Any) -> Any:
        obs, reward, terminated, truncated, info = self.env.step(action)
        if terminated:
            # Nothing is done there, and some environments have no mask for it.
            mask = np.ones(self._size, np.int8)
            return with_mask(obs, mask), reward, terminated, truncated, info
        return self._with_mask(obs, info), reward, terminated, truncated, info

    def _with_mask(self, obs: Any, info: Any) -> dict[str, Any]:
        if self._source == "method":
            given = self.get_wrapper_attr(METHOD)()
        else:
            given = info.get(ACTION_MASK)
        mask = flat_mask(given)
        if mask.shape != (self._size,):
            spec = self.spec
            raise UsageError(
                f"environment {spec.id if spec else type(self.unwrapped).__name__}: its action "
                f"mask is {in_short(given)}; accepted for {self.action_space} are {self._size} "
                "flags, one for each value of each choice"
            )
        return with_mask(obs, mask.astype(bool).astype(np.int8))


class MakeWithMasks:
    """A callable that makes an environment, with the masks that it gives in its observations; it
    can be pickled if `make` can."""

    def __init__(self, make: Callable[[], gymnasium.Env], masks: ActionMasks) -> None:
        self.make, self.masks = make, masks

    def __repr__(self) -> str:
        return repr(self.make)

    def __call__(self) -> gymnasium.Env:
        env = self.make()
        # What is no environment is refused by whoever asked for one.
        source = mask_source(env, self.masks) if isinstance(env, gymnasium.Env) else None
        return env if source is None else WithActionMask(env, source)

"""Masks of valid actions that a vector environment gives beside its observations.

They are understood where those of a single environment are (`action_masks.py`): as
`info["action_mask"]`, a row for each environment, or from a method `action_masks()`, of the vector
environment itself, of a wrapper around it, or of the copies within Gymnasium's own two. Where an
episode has ended nothing is done: there every action is valid. `AsyncVectorEnv`, which asks all of
its copies or none, asks for masks there, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from surefoot.common.errors import UsageError, in_short
from surefoot.common.settings import ActionMasks
from surefoot.envs.checking.first_steps import called
from surefoot.envs.host.action_masks import METHOD
from surefoot.envs.spaces.masks import (
    ACTION_MASK,
    flat_mask,
    has_mask,
    mask_size,
    with_mask,
    with_mask_space,
)

#: From the infos of a step and which environments wait for a reset, a mask for each of the others.
Source = Callable[[Any, np.ndarray], list[Any]]


def with_masks(envs: VectorEnv, masks: ActionMasks) -> VectorEnv:
    """The environments with the masks that are wanted in their observations; as they are, where
    they give none, or give them there."""
    if has_mask(envs.single_observation_space) or mask_size(envs.single_action_space) is None:
        return envs
    match masks:
        case "info":
            source: Source | None = _from_infos
        case "auto":
            source = _method(envs)
        case _:
            source = None
    return envs if source is None else WithActionMasks(envs, source)


def _from_infos(infos: Any, waiting: np.ndarray) -> list[Any]:
    if isinstance(infos, list):  # Gymnasium's `DictInfoToList` has made one of them.
        return [info.get(ACTION_MASK) for info in infos]
    given = infos.get(ACTION_MASK)
    there = infos.get(f"_{ACTION_MASK}", np.full(len(waiting), given is not None))
    return [given[i] if there[i] else None for i in range(len(waiting))]


def _method(envs: VectorEnv) -> Source | None:
    layer = envs
    while not callable(method := getattr(layer, METHOD, None)):
        if not isinstance(layer, VectorWrapper):
            return _method_of_copies(layer)
        layer = layer.env
    return lambda infos, waiting: list(method())


def _method_of_copies(envs: VectorEnv) -> Source | None:
    match envs:
        case SyncVectorEnv():
            each = [method for env in envs.envs if (method := _own(env)) is not None]
            if len(each) < envs.num_envs:
                return None
            return lambda infos, waiting: [
                None if over else mask() for mask, over in zip(each, waiting, strict=True)
            ]
        case AsyncVectorEnv() if all(envs.call("has_wrapper_attr", METHOD)):
            return lambda infos, waiting: list(envs.call(METHOD))
        case _:
            return None


def _own(env: Any) -> Callable[[], Any] | None:
    if not isinstance(env, gymnasium.Env) or not env.has_wrapper_attr(METHOD):
        return None
    method = env.get_wrapper_attr(METHOD)
    return method if callable(method) else None


class WithActionMasks(VectorWrapper):
    """A vector environment whose observations say which actions are valid."""

    def __init__(self, envs: VectorEnv, source: Source) -> None:
        super().__init__(envs)
        self._source = source
        size = mask_size(envs.single_action_space)
        assert size is not None
        self._size = size
        self.single_observation_space = with_mask_space(envs.single_observation_space, size)
        self.observation_space = batch_space(self.single_observation_space, envs.num_envs)
        self._same_step = envs.metadata.get("autoreset_mode") == AutoresetMode.SAME_STEP

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> Any:
        obs, infos = self.env.reset(seed=seed, options=options)
        return self._with_masks(obs, infos, np.zeros(self.num_envs, bool)), infos

    def step(self, actions: Any) -> Any:
        obs, reward, terminated, truncated, infos = self.env.step(actions)
        ended = np.asarray(terminated) | np.asarray(truncated)
        waiting = np.zeros(self.num_envs, bool) if self._same_step else ended
        if self._same_step and ended.any():
            infos = self._with_masked_finals(infos, ended)
        return self._with_masks(obs, infos, waiting), reward, terminated, truncated, infos

    def _with_masks(self, obs: Any, infos: Any, waiting: np.ndarray) -> dict[str, Any]:
        given = self._source(infos, waiting)
        if len(given) != self.num_envs:
            raise UsageError(
                f"environment {called(self.env)}: there are {len(given)} action masks; accepted is "
                f"one for each of the {self.num_envs} copies"
            )
        rows = np.ones((self.num_envs, self._size), np.int8)
        for i in np.flatnonzero(~waiting):
            mask = flat_mask(given[i])
            if mask.shape != (self._size,):
                raise UsageError(
                    f"environment {called(self.env)}: the action mask of copy {i} is "
                    f"{in_short(given[i])}; accepted for {self.single_action_space} are "
                    f"{self._size} flags, one for each value of each choice"
                )
            rows[i] = mask.astype(bool)
        return with_mask(obs, rows)

    def _with_masked_finals(self, infos: Any, ended: np.ndarray) -> Any:
        """The infos with last observations of this space. Where there are none, whoever asks for
        them refuses it."""
        mask = np.ones(self._size, np.int8)
        if isinstance(infos, list):
            return [
                {**info, "final_obs": with_mask(info["final_obs"], mask)}
                if over and "final_obs" in info
                else info
                for info, over in zip(infos, ended, strict=True)
            ]
        given, finals = infos.get("final_obs"), np.full(self.num_envs, None, object)
        if given is None or len(given) != self.num_envs or isinstance(given, dict):
            return infos
        for i in np.flatnonzero(ended):
            finals[i] = with_mask(given[i], mask)
        return {**infos, "final_obs": finals}

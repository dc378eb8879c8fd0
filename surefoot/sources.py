"""Where a run's data comes from: environments on the host, environments on the device, or what was
recorded before."""

from __future__ import annotations

import abc
from collections.abc import Iterator

import jax.numpy as jnp
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from surefoot.agent import Source
from surefoot.cloning import Recorded
from surefoot.config import Setup
from surefoot.demonstrations import Demonstrations, load
from surefoot.envs.classic import DEVICE_ENVS
from surefoot.envs.device import DeviceEnv
from surefoot.envs.host import HostEnv, check_env_id, make_host
from surefoot.envs.spaces import ActionMap
from surefoot.episodes import check_spaces
from surefoot.errors import UsageError, closest
from surefoot.learner import Learner, TrainState
from surefoot.loop import (
    Iteration,
    Seeds,
    device_iterations,
    host_iterations,
    recorded_iterations,
)
from surefoot.recipes.base import Offline, OnPolicy, Recipe


class DataSource(abc.ABC):
    """What a loop is run on."""

    name: str
    observation_space: spaces.Space
    action_space: spaces.Space
    num_envs: int

    @property
    @abc.abstractmethod
    def rows(self) -> int:
        """Steps of one iteration."""

    @property
    @abc.abstractmethod
    def rows_in_words(self) -> str:
        """The same, for a user."""

    @abc.abstractmethod
    def iterations(
        self, learner: Learner, to_env: ActionMap, state: TrainState, *, steps: int, seeds: Seeds
    ) -> Iterator[Iteration]:
        """The loop, until another iteration might exceed `steps`."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close what this source opened."""


class Environments(DataSource):
    """Environments side by side, `horizon` steps of each an iteration."""

    def __init__(
        self, env: HostEnv | DeviceEnv, num_envs: int, horizon: int, *, owned: bool
    ) -> None:
        self.env, self.num_envs, self.horizon = env, num_envs, horizon
        self.name = env.name
        self.observation_space, self.action_space = env.observation_space, env.action_space
        self._owned = owned

    @property
    def rows(self) -> int:
        return self.num_envs * self.horizon

    @property
    def rows_in_words(self) -> str:
        return (
            f"one batch of horizon × num_envs = {self.horizon} × {self.num_envs} = {self.rows} "
            "steps: raise steps or lower horizon or num_envs"
        )

    def iterations(
        self, learner: Learner, to_env: ActionMap, state: TrainState, *, steps: int, seeds: Seeds
    ) -> Iterator[Iteration]:
        if isinstance(self.env, HostEnv):
            return host_iterations(
                learner, self.env, to_env, state, horizon=self.horizon, steps=steps, seeds=seeds
            )
        return device_iterations(
            learner,
            self.env,
            to_env,
            state,
            num_envs=self.num_envs,
            horizon=self.horizon,
            steps=steps,
            seeds=seeds,
        )

    def close(self) -> None:
        if self._owned and isinstance(self.env, HostEnv):
            self.env.close()


class Recording(DataSource):
    """Recorded transitions, all of them an iteration, for a policy that is to act in `env`."""

    num_envs = 1

    def __init__(self, demonstrations: Demonstrations, env: HostEnv | DeviceEnv) -> None:
        self.name = env.name
        self.observation_space, self.action_space = env.observation_space, env.action_space
        check_spaces(
            env,
            demonstrations.observation_space,
            demonstrations.action_space,
            "which the recording is of",
        )
        self.demonstrations = demonstrations

    @property
    def rows(self) -> int:
        return len(self.demonstrations)

    @property
    def rows_in_words(self) -> str:
        return f"one pass over the {self.rows} recorded transitions: raise steps"

    def iterations(
        self, learner: Learner, to_env: ActionMap, state: TrainState, *, steps: int, seeds: Seeds
    ) -> Iterator[Iteration]:
        obs = jnp.asarray(self.demonstrations.obs)
        data = Recorded(obs, to_env.inverse(jnp.asarray(self.demonstrations.action)))
        # All that will be seen is there already: the policy never meets another normalizer.
        seen = state.normalizer.update(obs[:, None], jnp.ones((self.rows, 1), bool))
        return recorded_iterations(learner, data, state._replace(normalizer=seen), steps=steps)

    def close(self) -> None:
        pass


def open_source(recipe: Recipe, env: Source, setup: Setup) -> DataSource:
    """What a recipe learns from. Raises `UsageError` if it cannot."""
    match recipe:
        case OnPolicy():
            made = _environments(env, recipe.num_envs, setup)
            owned = not isinstance(env, VectorEnv | DeviceEnv)
            return Environments(made, recipe.num_envs, recipe.horizon, owned=owned)
        case Offline():
            if not recipe.data:
                raise UsageError(
                    "there is no data; accepted is a file that 'surefoot record' wrote or "
                    "minari:DATASET: pass --data, or data= in Python"
                )
            given = isinstance(env, VectorEnv)
            made = _environments(env, env.num_envs if isinstance(env, VectorEnv) else 1, setup)
            try:
                return Recording(load(recipe.data), made)
            finally:
                if isinstance(made, HostEnv) and not given:
                    made.close()
        case _:
            raise TypeError(f"{type(recipe)} is neither OnPolicy nor Offline")


def _environments(env: Source, num_envs: int, setup: Setup) -> HostEnv | DeviceEnv:
    if isinstance(env, DeviceEnv):
        return env
    if setup.backend == "host":
        return make_host(env, num_envs, vectorization=setup.vectorization)
    if isinstance(env, str) and env in DEVICE_ENVS:
        return DEVICE_ENVS[env]
    near = closest(check_env_id(env), DEVICE_ENVS) if isinstance(env, str) else ""
    raise UsageError(
        f"environment {env!r} has no device version; accepted are {', '.join(DEVICE_ENVS)} and "
        f"surefoot.DeviceEnv(env, time_limit=STEPS) around a functional environment.{near}"
    )

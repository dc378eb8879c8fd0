"""Where a run's data comes from: environments on the host, environments on the device, or what was
recorded before."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from surefoot.agent import Source
from surefoot.cloning import Recorded
from surefoot.config import Setup
from surefoot.demonstrations import Demonstrations, load
from surefoot.envs.actions import ActionMap
from surefoot.envs.classic import DEVICE_ENVS
from surefoot.envs.device import DeviceEnv
from surefoot.envs.host import HostEnv
from surefoot.envs.make import check_env_id, make_groups
from surefoot.envs.registered import called
from surefoot.episodes import check_spaces
from surefoot.errors import UsageError, closest
from surefoot.learner import Learner, TrainState
from surefoot.loop import (
    Asking,
    Iteration,
    Seeds,
    Start,
    device_iterations,
    host_iterations,
    recorded_iterations,
)
from surefoot.named import Saved, filled
from surefoot.recipes import RECIPES
from surefoot.recipes.base import Offline, OnPolicy, Recipe
from surefoot.rollout import restore_groups


class DataSource(abc.ABC):
    """What a loop is run on."""

    name: str
    observation_space: spaces.Space
    action_space: spaces.Space
    num_envs: int
    rows: int
    """Steps of one iteration."""
    rows_in_words: str
    """The same, for a user."""
    keep: bool = False
    """Whether all that is compiled is the library's own, so that programs may be kept."""
    looked_at_every: int = 0
    """Iterations between two after which somebody wants the state of that moment; 0: never."""

    @abc.abstractmethod
    def iterations(
        self,
        learner: Learner,
        to_env: ActionMap,
        state: TrainState,
        *,
        steps: int,
        seeds: Seeds,
        start: Start,
        ask: Asking,
    ) -> Iterator[Iteration]:
        """The loop, until another iteration might exceed `steps` or the answer is to stop."""

    @abc.abstractmethod
    def restore(self, saved: Saved, *, seed: int) -> tuple[Any, str | None]:
        """(`Start.environments` for what an `Iteration.place` says, why the environments are not
        where they were). If they cannot be, they begin episodes of this seed. Raises `ValueError`
        where what was saved is of something else."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close what this source opened."""


class HostEnvironments(DataSource):
    """Groups of environments on the host, `horizon` steps of each environment an iteration."""

    def __init__(self, groups: list[HostEnv], horizon: int, *, owned: bool) -> None:
        self.groups, self.horizon = groups, horizon
        self.num_envs = sum(group.num_envs for group in groups)
        first = groups[0]
        self.name = first.name
        self.observation_space, self.action_space = first.observation_space, first.action_space
        self.rows, self.rows_in_words = _batch(horizon, self.num_envs)
        self._owned = owned

    def iterations(
        self,
        learner: Learner,
        to_env: ActionMap,
        state: TrainState,
        *,
        steps: int,
        seeds: Seeds,
        start: Start,
        ask: Asking,
    ) -> Iterator[Iteration]:
        return host_iterations(
            learner,
            self.groups,
            to_env,
            state,
            horizon=self.horizon,
            steps=steps,
            seeds=seeds,
            start=start,
            ask=ask,
            keep=self.keep,
        )

    def restore(self, saved: Saved, *, seed: int) -> tuple[Any, str | None]:
        return restore_groups(self.groups, saved, seed=seed)

    def close(self) -> None:
        with contextlib.ExitStack() as closing:
            for group in self.groups if self._owned else ():
                closing.callback(group.close)


class DeviceEnvironments(DataSource):
    """Copies of an environment on the device, `horizon` steps of each an iteration; on several
    devices, each has an equal share."""

    def __init__(self, env: DeviceEnv, num_envs: int, horizon: int, setup: Setup) -> None:
        devices = setup.devices
        there = len(jax.devices())
        if devices > there:
            raise UsageError(
                f"devices is {devices}; accepted is at most {there}, the devices that JAX has here"
            )
        for name, count in (("num_envs", num_envs), ("horizon", horizon)):
            if count % devices:
                raise UsageError(
                    f"{name} is {count}; accepted on {devices} devices is a multiple of {devices}"
                )
        self.env, self.num_envs, self.horizon, self.devices = env, num_envs, horizon, devices
        self.name = env.name
        self.observation_space, self.action_space = env.observation_space, env.action_space
        self.rows, self.rows_in_words = _batch(horizon, num_envs)
        # A checkpoint lies between two calls, and a signal waits for the end of one.
        self.most_per_call = (
            1 if setup.checkpoint_every == 0 else max(1, min(16, 2**17 // self.rows))
        )

    def iterations(
        self,
        learner: Learner,
        to_env: ActionMap,
        state: TrainState,
        *,
        steps: int,
        seeds: Seeds,
        start: Start,
        ask: Asking,
    ) -> Iterator[Iteration]:
        if start.environments is not None:
            start = start._replace(environments=[start.environments])
        for (told,) in self.side_by_side(
            learner, to_env, [state], steps=steps, seeds=[seeds], start=start, ask=ask
        ):
            yield told

    def side_by_side(
        self,
        learner: Learner,
        to_env: ActionMap,
        states: Sequence[TrainState],
        *,
        steps: int,
        seeds: Sequence[Seeds],
        start: Start,
        ask: Asking,
    ) -> Iterator[list[Iteration]]:
        """The loop of several runs at once, one for each state and its seeds; they start with a
        list of environments."""
        return device_iterations(
            learner,
            self.env,
            to_env,
            states,
            num_envs=self.num_envs,
            horizon=self.horizon,
            steps=steps,
            seeds=seeds,
            start=start,
            ask=ask,
            keep=self.keep,
            devices=self.devices,
            most_per_call=self.most_per_call,
            looked_at_every=self.looked_at_every,
        )

    def restore(self, saved: Saved, *, seed: int) -> tuple[Any, str | None]:
        blank = jax.eval_shape(lambda key: self.env.init(key, self.num_envs), jax.random.key(0))
        return filled(saved.arrays, env=blank)["env"], None

    def close(self) -> None:
        pass


def _batch(horizon: int, num_envs: int) -> tuple[int, str]:
    """Steps of a batch, and the same for a user."""
    rows = horizon * num_envs
    return rows, (
        f"one batch of horizon × num_envs = {horizon} × {num_envs} = {rows} steps: raise steps or "
        "lower horizon or num_envs"
    )


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
        self.rows = len(demonstrations)
        self.rows_in_words = f"one pass over the {self.rows} recorded transitions: raise steps"

    def iterations(
        self,
        learner: Learner,
        to_env: ActionMap,
        state: TrainState,
        *,
        steps: int,
        seeds: Seeds,
        start: Start,
        ask: Asking,
    ) -> Iterator[Iteration]:
        obs = jnp.asarray(self.demonstrations.obs)
        data = Recorded(obs, to_env.inverse(jnp.asarray(self.demonstrations.action)))
        # All that will be seen is there already: the policy never meets another normalizer.
        if start.number == 0:
            seen = state.normalizer.update(obs[:, None], jnp.ones((self.rows, 1), bool))
            state = state._replace(normalizer=seen)
        return recorded_iterations(
            learner, data, state, steps=steps, start=start, ask=ask, keep=self.keep
        )

    def restore(self, saved: Saved, *, seed: int) -> tuple[Any, str | None]:
        return None, None

    def close(self) -> None:
        pass


def open_source(recipe: Recipe, learner: Learner, env: Source, setup: Setup) -> DataSource:
    """What a recipe learns from. Raises `UsageError` if it cannot."""
    source = _opened(recipe, learner, env, setup)
    source.keep = type(recipe) in RECIPES.values() and (
        not isinstance(source, DeviceEnvironments) or source.env in DEVICE_ENVS.values()
    )
    return source


def _opened(recipe: Recipe, learner: Learner, env: Source, setup: Setup) -> DataSource:
    match recipe:
        case OnPolicy():
            if on_device := device_env(env, setup):
                return DeviceEnvironments(on_device, recipe.num_envs, recipe.horizon, setup)
            if setup.devices > 1:
                raise UsageError(
                    f"devices is {setup.devices} with environments on the host; accepted is 1, or "
                    "--backend device"
                )
            owned = not isinstance(env, VectorEnv)
            groups = _groups(env, recipe.num_envs, setup, most=1 if learner.acts_for_all else 2)
            return HostEnvironments(groups, recipe.horizon, owned=owned)
        case Offline():
            if not recipe.data:
                raise UsageError(
                    "there is no data; accepted is a file that 'surefoot record' wrote or "
                    "minari:DATASET: pass --data, or data= in Python"
                )
            if on_device := device_env(env, setup):
                return Recording(load(recipe.data), on_device)
            given = isinstance(env, VectorEnv)
            count = env.num_envs if isinstance(env, VectorEnv) else 1
            (group,) = _groups(env, count, setup, most=1)
            try:
                return Recording(load(recipe.data), group)
            finally:
                if not given:
                    group.close()
        case _:
            raise TypeError(f"{type(recipe)} is neither OnPolicy nor Offline")


def _groups(env: Source, num_envs: int, setup: Setup, *, most: int) -> list[HostEnv]:
    assert not isinstance(env, DeviceEnv)
    return make_groups(
        env,
        num_envs,
        most=most,
        backend=setup.backend,
        vectorization=setup.vectorization,
        env_threads=setup.env_threads,
        env_timeout=setup.env_timeout,
        max_env_restarts=setup.max_env_restarts,
    )


def device_env(env: Source, setup: Setup) -> DeviceEnv | None:
    """The device environment that is meant, `None` if one on the host is."""
    if isinstance(env, DeviceEnv):
        return env
    if setup.backend != "device":
        return None
    if isinstance(env, str) and env in DEVICE_ENVS:
        return DEVICE_ENVS[env]
    near = closest(check_env_id(env), DEVICE_ENVS) if isinstance(env, str) else ""
    raise UsageError(
        f"environment {called(env)} has no device version; accepted are {', '.join(DEVICE_ENVS)} "
        f"and surefoot.DeviceEnv(env, time_limit=STEPS) around a functional environment.{near}"
    )

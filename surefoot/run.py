"""`Run`: a method, an environment and a setup, checked and built but not started.

Building raises every mistake of the user's before the first environment step and before anything is
written; `iterations` then starts the loop.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import platform
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
from gymnasium.vector import VectorEnv

from surefoot.agent import Agent, Shape, Source
from surefoot.algorithm import Algorithm
from surefoot.config import Setup, at_least, validate
from surefoot.envs.classic import DEVICE_ENVS
from surefoot.envs.device import DeviceEnv
from surefoot.envs.host import HostEnv, check_env_id, make_host
from surefoot.envs.spaces import action_map, observation_size
from surefoot.errors import UsageError, closest
from surefoot.loop import Iteration, device_iterations, host_iterations, seed_streams
from surefoot.networks import Critic
from surefoot.normalize import NoScaler, reward_scaler
from surefoot.recipes import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class Composed:
    """An `Algorithm` put together by hand, where a recipe is expected."""

    algorithm: Algorithm
    num_envs: int = at_least(1, 2)
    horizon: int = at_least(1, 1024)

    def __post_init__(self) -> None:
        validate(self)

    def build(self) -> Algorithm:
        """The algorithm as it is."""
        return self.algorithm

    def hyperparameters(self) -> dict[str, Any]:
        """The batch's size, and the parts as text."""
        text = eqx.tree_pformat(self.algorithm, short_arrays=False)
        return {"num_envs": self.num_envs, "horizon": self.horizon, "algorithm": text}


class Run:
    """One training run, checked and built but not started: `iterations` starts it."""

    def __init__(self, name: str, recipe: Recipe | Composed, env: Source, setup: Setup) -> None:
        self.name, self.recipe, self.setup = name, recipe, setup
        rows = recipe.num_envs * recipe.horizon
        self.steps = setup.steps // rows * rows
        if self.steps == 0:
            raise UsageError(
                f"steps is {setup.steps}; accepted is at least one batch of horizon × num_envs = "
                f"{recipe.horizon} × {recipe.num_envs} = {rows} steps: raise steps or lower "
                "horizon or num_envs"
            )
        env_seed, networks, learning, collecting = seed_streams(setup.seed)
        self._closing = contextlib.ExitStack()
        with contextlib.ExitStack() as on_error:
            collector = _open(env, recipe.num_envs, setup)
            if isinstance(collector, HostEnv) and not isinstance(env, VectorEnv):
                on_error.callback(collector.close)
            self.environment, self.env_name = env, collector.name
            self.shape = Shape(
                observation_space=collector.observation_space,
                action_space=collector.action_space,
                hidden=setup.hidden,
                log_std=setup.log_std,
                action_map=setup.action_map,
                normalize_observations=setup.normalize_observations,
            )
            algorithm = recipe.build()
            policy_key, critic_key = jax.random.split(networks)
            size = observation_size(collector.observation_space)
            self.state = algorithm.init(
                learning,
                self.shape.policy(policy_key),
                Critic(critic_key, size, hidden=setup.hidden) if algorithm.critic_update else None,
                normalizer=self.shape.normalizer(),
                scaler=reward_scaler(recipe.num_envs) if setup.scale_rewards else NoScaler(),
                total_steps=self.steps,
            )
            to_env = action_map(collector.action_space, setup.action_map)
            self._closing = on_error.pop_all()

        options: dict[str, Any] = {
            "horizon": recipe.horizon,
            "env_seed": env_seed,
            "key": collecting,
        }
        if isinstance(collector, DeviceEnv):
            self._iterations = device_iterations(
                algorithm,
                collector,
                to_env,
                self.state,
                num_envs=recipe.num_envs,
                steps=self.steps,
                **options,
            )
        else:
            self._iterations = host_iterations(
                algorithm, collector, to_env, self.state, steps=setup.steps, **options
            )

    def iterations(self) -> Iterator[Iteration]:
        """Train, one iteration at a time. Environments that this run made are closed at the end."""
        with self._closing:
            for iteration in self._iterations:
                self.state = iteration.state
                yield iteration

    def agent(self) -> Agent:
        """The agent as it is now."""
        return Agent(
            self.state.policy,
            self.state.normalizer,
            self.shape,
            environment=self.environment,
            provenance=self.config(),
        )

    def config(self) -> dict[str, Any]:
        """What this run is, as JSON: method, environment, every hyperparameter, versions."""
        return {
            "algorithm": self.name,
            "environment": self.env_name,
            "hyperparameters": self.recipe.hyperparameters(),
            "setup": dataclasses.asdict(self.setup),
            "steps": self.steps,
            "versions": versions(),
        }


def versions() -> dict[str, str]:
    """Versions of everything that a run's numbers depend on."""
    names = ("surefoot", "jax", "jaxlib", "equinox", "optax", "lineax", "gymnasium", "mujoco")
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in (*names, "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _open(env: Source, num_envs: int, setup: Setup) -> HostEnv | DeviceEnv:
    """What the loop collects from."""
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

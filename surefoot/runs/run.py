"""`Run`: a method, an environment and settings, checked and built but not started.

Building raises every mistake of the user's before the first environment step and before anything is
written; `iterations` then starts the loop.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.metadata
import platform
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from surefoot.agents.agent import Agent
from surefoot.agents.playing.policy_spec import EnvLike, PolicySpec
from surefoot.common import jax_setup
from surefoot.common.arrays import Snapshot
from surefoot.common.errors import UsageError
from surefoot.common.settings import RunSettings
from surefoot.core.data.reward_scaling import scaler_of
from surefoot.core.networks import Critic, Critics
from surefoot.core.networks.architecture import Architecture, MakeNetwork
from surefoot.envs.host.atari import Preprocessing
from surefoot.envs.registered import MakeCall
from surefoot.methods.families.base import Recipe
from surefoot.methods.learners.finite_guard import FiniteGuard
from surefoot.methods.learners.learner import TrainState
from surefoot.training.device_loop import DeviceLoop
from surefoot.training.iteration import FRESH, Iteration, ResumePoint, Seeds
from surefoot.training.open_loop import open_loop


class Makes(NamedTuple):
    """What makes networks of one's own; `None`: the settings say which they are."""

    network: MakeNetwork | None = None
    critic_network: MakeNetwork | None = None


DEFAULT_MAKES = Makes()


def _architecture(settings: RunSettings, make: MakeNetwork | None) -> Architecture:
    return Architecture(
        name=settings.network,
        hidden=settings.hidden,
        activation=settings.activation,
        layer_norm=settings.layer_norm,
        make=make,
    )


class Run:
    """One training run, checked and built but not started: `iterations` starts it."""

    def __init__(
        self,
        name: str,
        recipe: Recipe,
        env: EnvLike,
        settings: RunSettings,
        makes: Makes = DEFAULT_MAKES,
    ) -> None:
        jax_setup.check_backend()
        self.makes = makes
        self.name, self.recipe, self.settings, self.environment = name, recipe, settings, env
        self._closing = contextlib.ExitStack()
        with contextlib.ExitStack() as on_error:
            self.learner = learner = recipe.build()
            self._loop = loop = open_loop(recipe, learner, env, settings)
            on_error.callback(loop.close)
            self.env_name, self.rows = loop.name, loop.rows
            self.steps = settings.steps // self.rows * self.rows
            if self.steps == 0:
                raise UsageError(
                    f"steps is {settings.steps}; accepted is at least {loop.rows_in_words}"
                )
            self.spec = PolicySpec(
                observation_space=loop.observation_space,
                action_space=loop.action_space,
                network=_architecture(settings, self.makes.network),
                log_std=settings.log_std,
                state_dependent_std=settings.state_dependent_std,
                action_map=settings.action_map,
                normalize_observations=settings.normalize_observations,
                action_distribution=settings.action_distribution,
                action_masks=settings.action_masks,
                policy_keys=settings.policy_keys,
                preprocessing=Preprocessing.of(settings),
            )
            self._seeds = seeds = Seeds.of(settings.seed)
            policy_key, critic_key = jax.random.split(seeds.networks)
            policy = self.spec.policy(policy_key)
            self.state = learner.init(
                seeds.learning,
                policy,
                self._critics(critic_key, learner.critics) if learner.critic_update else None,
                normalizer=self.spec.normalizer(),
                scaler=scaler_of(
                    loop.num_envs,
                    scale=settings.scale_rewards,
                    clip=settings.clip_rewards == "sign",
                ),
                total_steps=self.steps,
                num_envs=loop.num_envs,
                blank=loop.blank(policy) if learner.remembers else None,
            )
            self._to_env = self.spec.to_environment()
            self._start = FRESH
            #: Environment steps that `state` has behind it.
            self.trained = 0
            self.budget = settings.steps
            self._closing = on_error.pop_all()
        jax_setup.take_back()

    def _critics(self, key: PRNGKeyArray, number: int) -> Any:
        if number == 1:
            return self._critic(key)
        return Critics(tuple(map(self._critic, jax.random.split(key, number))))

    def _critic(self, key: PRNGKeyArray) -> Critic:
        given = self.settings
        own = given.critic_network or self.makes.critic_network is not None
        settings = dataclasses.replace(
            given,
            network=given.critic_network if own else given.network,
            hidden=given.critic_hidden or given.hidden,
        )
        make = self.makes.critic_network if own else self.makes.network
        return self.spec.critic(key, _architecture(settings, make), given.critic_keys)

    def restore(
        self, state: TrainState, env_snapshot: Snapshot, *, iterations: int, steps: int, budget: int
    ) -> str | None:
        """Go on from there, up to `budget` steps: why the environments are not where they were, if
        they are not. Raises `ValueError` where `env_snapshot` is of other environments."""
        seed = np.random.SeedSequence([self._seeds.environment, iterations]).generate_state(1)
        environments, reason = self._loop.restore(env_snapshot, state, seed=int(seed[0] >> 1))
        self.state, self.budget, self.trained = state, budget, steps
        self._start = ResumePoint(iterations, steps, environments)
        return reason

    def iterations(self) -> Generator[Iteration]:
        """Train, one iteration at a time. Environments that this run made are closed at the end."""
        loop = self._loop.iterations(
            FiniteGuard(self.learner),
            self._to_env,
            self.state,
            steps=self.budget,
            seeds=self._seeds,
            start=self._start,
        )
        with self._closing, contextlib.closing(loop):
            for iteration in loop:
                self.state, self.trained = iteration.state, iteration.steps
                yield iteration

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The leading dimensions of what the policy's update learns from: rows, or segments of a
        policy with a memory and their length."""
        if self.state.policy.initial(1) is None:
            return (self.rows,)
        length = self.settings.segment_length or self.rows // self._loop.num_envs
        return self.rows // length, length

    def complete(self, steps: int) -> bool:
        """Whether another iteration after that many steps might exceed the budget."""
        return steps + self.rows > self.budget

    @property
    def evaluation_seed(self) -> int:
        """Seed of the environments that the run is evaluated on: sub-environment i is seeded with
        this + i, half the range of seeds away from training's."""
        return (self._seeds.environment + 2**30) % 2**31

    def set_sync_every(self, iterations: int) -> None:
        """Have the state of the moment after every so many iterations. On the device a call of the
        compiled program ends there."""
        self._loop.sync_every = iterations

    def close(self) -> None:
        """Close the environments that this run made, if it is not to be trained."""
        self._closing.close()

    @staticmethod
    def side_by_side(runs: Sequence[Run]) -> Generator[list[Iteration]]:
        """Train runs on the device that differ in nothing but their seed, all in one compiled
        program: an iteration of each at a time."""
        first, loop = runs[0], runs[0]._loop
        assert isinstance(loop, DeviceLoop), "only runs on the device"
        start = first._start
        if start is not FRESH:
            start = start._replace(environments=[run._start.environments for run in runs])
        for told in loop.side_by_side(
            FiniteGuard(first.learner),
            first._to_env,
            [run.state for run in runs],
            steps=first.budget,
            seeds=[run._seeds for run in runs],
            start=start,
        ):
            for run, iteration in zip(runs, told, strict=True):
                run.state, run.trained = iteration.state, iteration.steps
            yield told

    def agent(self) -> Agent:
        """The agent as it is now; its provenance tells how many steps it was trained with."""
        return Agent(
            self.state.policy,
            self.state.normalizer,
            self.spec,
            environment=self.environment,
            provenance={**self.config(), "trained_steps": self.trained},
        )

    def config(self) -> dict[str, Any]:
        """What this run is, as JSON: method, environment, every hyperparameter, versions."""
        call = MakeCall.of(self.environment)
        made = None if call is None or not call.options else call.to_json()
        return {
            "algorithm": self.name,
            "environment": self.env_name,
            "environment_id": self.environment if isinstance(self.environment, str) else None,
            **({} if made is None else {"environment_call": made}),
            "hyperparameters": self.recipe.hyperparameters(),
            "setup": dataclasses.asdict(self.settings),
            "steps": self.steps,
            "versions": versions(),
        }


def versions() -> dict[str, str]:
    """Versions of everything that a run's numbers depend on, and the number of cores."""
    return {**_versions(), "NPROC": jax_setup.cores()}


@functools.cache
def _versions() -> dict[str, str]:
    names = ("surefoot", "jax", "jaxlib", "equinox", "optax", "lineax", "numpy", "gymnasium")
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in (*names, "mujoco", "envpool", "ale-py"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found

"""Evaluation while a run trains: the same episodes every time, on environments of their own.

Training knows nothing of it. Its environments are others, their seeds lie elsewhere, and nothing
random is shared, so that a run with evaluations is bit for bit the run without.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
from gymnasium.vector import VectorEnv
from jaxtyping import PRNGKeyArray

from surefoot.agents.playing.episodes import (
    Actor,
    act,
    check_time_limit,
    device_episodes,
    opened,
)
from surefoot.agents.playing.evaluation import Evaluation, evaluate, kept_on_device, of_rows
from surefoot.common.errors import UsageError
from surefoot.common.settings import MAX_EPISODE_STEPS
from surefoot.core.data.normalization import offset_of
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.host.host_env import HostEnv
from surefoot.runs.run import Run
from surefoot.training.iteration import Iteration
from surefoot.training.open_loop import device_env

_act = eqx.filter_jit(act)


class Evaluator:
    """Evaluates runs side by side, after every so many environment steps. Environments are made
    once: in JAX where training's are, on the host otherwise, EnvPool's as Gymnasium's."""

    def __init__(self, runs: Sequence[Run], note: Callable[[str], None], *, done: int) -> None:
        """For runs that have `done` steps behind them; `note` says what happened. Raises
        `UsageError` where environments cannot be made a second time."""
        first = runs[0]
        settings = first.settings
        self._runs, self._note, self._done = runs, note, done
        self._cut_told = False
        self._every, self._episodes = settings.evaluate_every, settings.evaluation_episodes
        self._closing = contextlib.ExitStack()
        if isinstance(first.environment, VectorEnv):
            raise UsageError(
                f"evaluate_every is {self._every} and the environment is a vector environment, of "
                "which there is no second one: pass a Gymnasium id or a callable that makes an "
                "environment, or evaluate_every=0"
            )
        on_device = device_env(first.environment, settings)
        if on_device is not None:
            self._play = self._on_device(on_device)
        else:
            self._play = self._on_host()
        # A boundary where the state is known must lie at every evaluation.
        whole = self._every % first.rows == 0
        self.sync_every = self._every // first.rows if whole else 1
        """Iterations between two after which this wants the state of that moment."""

    def _on_host(self) -> Callable[[Run], Evaluation]:
        first = self._runs[0]
        spec = first.spec
        env = self._closing.enter_context(
            opened(
                spec.source(first.environment),
                spec.observation_space,
                spec.action_space,
                episodes=self._episodes,
                max_steps=MAX_EPISODE_STEPS,
                masks=spec.action_masks,
            )
        )
        assert isinstance(env, HostEnv)
        to_env = spec.to_environment()

        def play(run: Run) -> Evaluation:
            policy, normalizer = run.state.policy, run.state.normalizer
            env.offset = offset_of(normalizer)
            actor = Actor.of(policy, normalizer, to_env, deterministic=True, acting=_act)
            return evaluate(
                actor,
                env,
                episodes=self._episodes,
                seed=run.evaluation_seed,
                max_steps=MAX_EPISODE_STEPS,
            )

        return play

    def _on_device(self, env: DeviceEnv) -> Callable[[Run], Evaluation]:
        check_time_limit(env)
        spec = self._runs[0].spec
        to_env = spec.to_environment()

        @eqx.filter_jit
        def episodes(policy: Any, normalizer: Any, to_env: Any, key: PRNGKeyArray) -> Any:
            actor = Actor.of(policy, normalizer, to_env, deterministic=True)
            return device_episodes(actor, env, kept_on_device, key, episodes=self._episodes)

        def play(run: Run) -> Evaluation:
            key = jax.random.key(run.evaluation_seed)
            rows = episodes(run.state.policy, run.state.normalizer, to_env, key)
            return of_rows(*jax.tree.map(np.asarray, rows))

        return play

    def __call__(self, told: Sequence[Iteration]) -> list[Iteration]:
        """The runs' iterations, with an evaluation if more than the interval's steps have passed
        since the last one, or the run is complete."""
        before, self._done = self._done, told[0].steps
        due = self._done // self._every > before // self._every
        if not due and not self._runs[0].complete(self._done):
            return list(told)
        return [self._evaluated(*both) for both in zip(self._runs, told, strict=True)]

    def _evaluated(self, run: Run, iteration: Iteration) -> Iteration:
        begin = time.perf_counter()
        evaluation = self._play(run)
        timing = iteration.timing._replace(evaluation=time.perf_counter() - begin)
        if evaluation.cut and not self._cut_told:
            self._cut_told = True
            self._note(
                f"{evaluation.cut} of {self._episodes} evaluated episodes had not ended after "
                f"{MAX_EPISODE_STEPS:,} steps and were cut there"
            )
        return iteration._replace(evaluation=evaluation, timing=timing)

    def close(self) -> None:
        """Close the environments."""
        self._closing.close()

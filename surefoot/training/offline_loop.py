"""The loop on recorded data, all of it an iteration."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

import jax.numpy as jnp
import numpy as np

from surefoot.agents.demonstrations import Demonstrations
from surefoot.agents.playing.episodes import check_spaces
from surefoot.common.arrays import Snapshot
from surefoot.common.compile_cache import compile_cached
from surefoot.core.data.normalization import offset_of, with_offset
from surefoot.core.data.types import OfflineData
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.host.host_env import HostEnv
from surefoot.envs.spaces.actions import ActionMap
from surefoot.envs.spaces.encoding import Encoding
from surefoot.methods.learners.learner import Learner, TrainState
from surefoot.training.iteration import (
    Iteration,
    ResumePoint,
    Seeds,
    Timing,
    flatten,
)
from surefoot.training.loop import TrainingLoop


class OfflineLoop(TrainingLoop):
    """The loop over recorded transitions, all of them an iteration, for a policy that is to act in
    `env`."""

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
        start: ResumePoint,
    ) -> Generator[Iteration]:
        """One turn on all of the data an iteration, until another one would exceed `steps` rows."""
        normalizer, recorded = state.normalizer, self.demonstrations.obs
        if start.number == 0 and recorded.dtype == np.float64:
            first = Encoding(self.observation_space).offset_of_vector(recorded[0])
            normalizer = with_offset(normalizer, first)
        offset = offset_of(normalizer)
        obs = jnp.asarray(recorded if offset is None else recorded - offset, jnp.float32)
        data = OfflineData(obs, to_env.inverse(jnp.asarray(self.demonstrations.action)))
        # All that will be seen is there already: the policy never meets another normalizer.
        if start.number == 0:
            seen = normalizer.update(obs[:, None], jnp.ones((self.rows, 1), bool))
            state = state._replace(normalizer=seen)
        rows, cache_program = self.rows, self.cache_program
        update: Callable[..., Any] | None = None
        clock = time.perf_counter
        for index in range(start.number, steps // rows):
            begin = clock()
            compiling = 0.0
            if update is None:
                update = compile_cached(_update, learner, state, data, cache_program=cache_program)
                compiling = clock() - begin
            state, metrics, critic = update(learner, state, data)
            row = flatten(metrics, critic)
            total = clock() - begin
            timing = Timing(
                total=total, steps_per_s=rows / total, compile=compiling, update=total - compiling
            )
            none, done = np.zeros(0), (index + 1) * rows
            yield Iteration(index, done, state, row, none, none, timing, snapshot=_nothing)

    def restore(
        self, snapshot: Snapshot, state: TrainState, *, seed: int
    ) -> tuple[Any, str | None]:
        return None, None

    def close(self) -> None:
        pass


def _update(learner: Learner, state: TrainState, data: OfflineData) -> Any:
    return learner.update(state, data)


def _nothing() -> Snapshot:
    return Snapshot({}, {})

"""The loop on recorded data, all of it an iteration."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from surefoot.agents.demonstrations import Demonstrations
from surefoot.agents.playing.episodes import check_spaces
from surefoot.common.arrays import Snapshot
from surefoot.common.compile_cache import compile_cached
from surefoot.core.data.normalization import offset_of, with_offset
from surefoot.core.data.types import OfflineData
from surefoot.core.observation import vector_of, with_vector
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
from surefoot.training.lanes import Lanes
from surefoot.training.loop import TrainingLoop


class OfflineLoop(TrainingLoop):
    """The loop over recorded transitions, all of them an iteration, for a policy that is to act in
    `env`."""

    num_envs = 1

    def __init__(
        self,
        demonstrations: Demonstrations,
        env: HostEnv | DeviceEnv,
        *,
        segment_length: int | None = None,
    ) -> None:
        self.name = env.name
        self.observation_space, self.action_space = env.observation_space, env.action_space
        check_spaces(
            env,
            demonstrations.observation_space,
            demonstrations.action_space,
            "which the recording is of",
        )
        self.demonstrations, self.segment_length = demonstrations, segment_length
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
        if start.number == 0 and normalizer.offset is not None:
            vector = vector_of(recorded)
            if vector.dtype == np.float64:
                first = Encoding(self.observation_space).offset_of_vector(vector[0])
                normalizer = with_offset(normalizer, first)
        obs = _less(recorded, offset_of(normalizer))
        action = jax.tree.map(jnp.asarray, self.demonstrations.action)
        data = OfflineData(obs, to_env.inverse(action))
        # All that will be seen is there already: the policy never meets another normalizer.
        if start.number == 0:
            counts = jnp.ones((self.rows, 1), bool)
            seen = normalizer.update(jax.tree.map(lambda x: x[:, None], obs), counts)
            state = state._replace(normalizer=seen)
        if state.policy.initial(1) is not None:
            data = self._in_lanes(data)
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

    def _in_lanes(self, data: OfflineData) -> OfflineData:
        ends = self.demonstrations.terminated | self.demonstrations.truncated
        lanes = Lanes.of(ends, self.segment_length)
        counts = lanes.row >= 0

        def laid(x: jax.Array) -> jax.Array:
            there = counts.reshape(*counts.shape, *(1,) * (x.ndim - 1))
            return jnp.where(there, x[lanes.row], jnp.zeros((), x.dtype))

        obs, action = jax.tree.map(laid, (data.obs, data.action))
        return OfflineData(obs, action, jnp.asarray(lanes.starts), jnp.asarray(counts))

    def restore(
        self, snapshot: Snapshot, state: TrainState, *, seed: int
    ) -> tuple[Any, str | None]:
        return None, None

    def close(self) -> None:
        pass


def _less(recorded: Any, offset: np.ndarray | None) -> Any:
    """Recorded observations less an offset, as JAX has them."""
    if offset is not None:
        recorded = with_vector(recorded, lambda vector: vector - offset)
    return jax.tree.map(
        lambda x: jnp.asarray(x, jnp.float32 if x.dtype == np.float64 else x.dtype), recorded
    )


def _update(learner: Learner, state: TrainState, data: OfflineData) -> Any:
    return learner.update(state, data)


def _nothing() -> Snapshot:
    return Snapshot({}, {})

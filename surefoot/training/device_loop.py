"""The loop on the device: collection and learning, one compiled program, of one run or of several
runs side by side."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np

from surefoot.common.arrays import Snapshot, from_named_arrays, to_named_arrays
from surefoot.common.errors import UsageError
from surefoot.common.settings import RunSettings
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.spaces.actions import ActionMap
from surefoot.methods.learners.learner import Learner, TrainState
from surefoot.training.device_program import DeviceCalls, DeviceProgram
from surefoot.training.iteration import Iteration, ResumePoint, Seeds, Timing, flatten
from surefoot.training.loop import TrainingLoop, batch_rows
from surefoot.training.rollout import DeviceStanding


class DeviceLoop(TrainingLoop):
    """The loop over copies of an environment on the device, `horizon` steps of each an iteration;
    on several devices, each has an equal share."""

    def __init__(
        self,
        env: DeviceEnv,
        num_envs: int,
        horizon: int,
        settings: RunSettings,
        *,
        fresh_episodes: bool = False,
        stagger: bool = False,
        segment_length: int | None = None,
    ) -> None:
        devices = settings.devices
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
        self._fresh_episodes = fresh_episodes
        self._stagger, self.segment_length = stagger, segment_length
        self.env, self.num_envs, self.horizon, self.devices = env, num_envs, horizon, devices
        self.name = env.name
        self.observation_space, self.action_space = env.observation_space, env.action_space
        self.rows, self.rows_in_words = batch_rows(horizon, num_envs)
        # A checkpoint lies between two calls, and a signal waits for the end of one.
        self.max_iterations_per_call = (
            1 if settings.checkpoint_every == 0 else max(1, min(16, 2**17 // self.rows))
        )

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
        if start.environments is not None:
            start = start._replace(environments=[start.environments])
        for (told,) in self.side_by_side(
            learner, to_env, [state], steps=steps, seeds=[seeds], start=start
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
        start: ResumePoint,
    ) -> Generator[list[Iteration]]:
        """⌊steps/(horizon·num_envs)⌋ iterations of every run, of which there is one for each state
        and its seeds; they start with a list of environments. A compiled program runs as many
        iterations a call as divide their number evenly, `max_iterations_per_call` at most, so
        that one program fits all; a call also ends every `sync_every` iterations, unless
        that is 0. On an accelerator it is `vmap`ped over the runs. On a CPU a program keeps one
        core busy, and products of many small matrices at once take longer there than one after the
        other: the runs are calls of one program, side by side in threads. A run's time is that of
        all of them.

        Over several `devices` environments are shared out evenly, and with them the rows of a
        batch; what is learned lies on all of them. The compiler places the sums across devices: the
        numbers are those of one device up to the order of summation."""
        count = steps // self.rows
        if count == start.number:
            return
        whole = math.gcd(count, start.number, self.sync_every)
        per_call = max(k for k in range(1, self.max_iterations_per_call + 1) if whole % k == 0)
        begin = time.perf_counter()
        standing = start.environments or [
            self._begin(learner, state, seed) for state, seed in zip(states, seeds, strict=True)
        ]
        starts = list(zip(states, standing, strict=True))
        program = self._program(starts, per_call)
        keys = [seed.collecting for seed in seeds]
        calls = DeviceCalls(
            program, (learner, to_env), starts, keys, cache_program=self.cache_program
        )
        compiling = time.perf_counter() - begin
        for first in range(start.number, count, per_call):
            begin = time.perf_counter()
            ends, reports = calls(first)
            run = (time.perf_counter() - begin) / per_call
            for i in range(per_call):
                timing = Timing.of(run + compiling, self.rows, compile=compiling, program=run)
                number, last, compiling = first + i, i + 1 == per_call, 0.0
                yield [
                    self._told(number, end, report, i, timing, last=last)
                    for end, report in zip(ends, reports, strict=True)
                ]

    def _begin(self, learner: Learner, state: TrainState, seed: Seeds) -> DeviceStanding:
        key = jax.random.key(seed.environment)
        memory = learner.behavior(state, key).initial(self.num_envs)
        return DeviceStanding(self.env.init(key, self.num_envs, stagger=self._stagger), memory)

    def _program(self, starts: Sequence[Any], per_call: int) -> DeviceProgram:
        at_once = self.devices > 1 or jax.default_backend() != "cpu"
        return DeviceProgram(
            env=self.env,
            num_envs=self.num_envs,
            horizon=self.horizon,
            per_call=per_call,
            size=len(starts) if at_once else 1,
            devices=self.devices,
            fresh_episodes=self._fresh_episodes,
            segment_length=self.segment_length,
            static=eqx.filter(starts[0], eqx.is_array, inverse=True),
        )

    def _told(
        self, number: int, end: Any, report: Any, i: int, timing: Timing, *, last: bool
    ) -> Iteration:
        """One run's iteration, the i-th of a call, after which it stands at `end`."""
        state, standing = end
        metrics, critic, episodes = jax.tree.map(lambda x: x[i], report)
        returns, lengths = episodes.ended()
        snapshot = (lambda: Snapshot(to_named_arrays(**standing._asdict()), {})) if last else None
        done, row = (number + 1) * self.rows, flatten(metrics, critic)
        return Iteration(number, done, state, row, returns, lengths, timing, snapshot=snapshot)

    def restore(
        self, snapshot: Snapshot, state: TrainState, *, seed: int
    ) -> tuple[Any, str | None]:
        template = jax.eval_shape(lambda key: self.env.init(key, self.num_envs), jax.random.key(0))
        memory = state.policy.initial(self.num_envs)
        arrays = dict(snapshot.arrays)
        if template.limit is not None and "env.limit" not in arrays:
            # Written before a state had it.
            arrays["env.limit"] = np.full(self.num_envs, self.env.time_limit, np.int32)
        return DeviceStanding(**from_named_arrays(arrays, env=template, memory=memory)), None

    def close(self) -> None:
        pass

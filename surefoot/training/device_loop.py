"""The loop on the device: collection and learning, one compiled program, of one run or of several
runs side by side."""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PRNGKeyArray

from surefoot.common.arrays import Snapshot, from_named_arrays, to_named_arrays
from surefoot.common.compile_cache import attributes, compile_cached, constants
from surefoot.common.errors import UsageError
from surefoot.common.settings import RunSettings
from surefoot.core.data.types import Trajectory
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.spaces.actions import ActionMap
from surefoot.methods.learners import finite_guard
from surefoot.methods.learners.learner import Learner, TrainState
from surefoot.training.iteration import (
    Control,
    Iteration,
    ResumePoint,
    Seeds,
    Timing,
    flatten,
)
from surefoot.training.loop import TrainingLoop, batch_rows
from surefoot.training.rollout import device_rollout

_AXIS = "environments"
_SHARED = PartitionSpec(_AXIS)


class DeviceLoop(TrainingLoop):
    """The loop over copies of an environment on the device, `horizon` steps of each an iteration;
    on several devices, each has an equal share."""

    def __init__(self, env: DeviceEnv, num_envs: int, horizon: int, settings: RunSettings) -> None:
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
        self.stagger = settings.stagger_starts
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
        control: Callable[[], Control],
    ) -> Iterator[Iteration]:
        if start.environments is not None:
            start = start._replace(environments=[start.environments])
        for (told,) in self.side_by_side(
            learner, to_env, [state], steps=steps, seeds=[seeds], start=start, control=control
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
        control: Callable[[], Control],
    ) -> Iterator[list[Iteration]]:
        """⌊steps/(horizon·num_envs)⌋ iterations of every run, of which there is one for each state
        and its seeds; they start with a list of environments. A compiled program runs as many
        iterations a call as divide their number evenly, `max_iterations_per_call` at most, so
        that one program fits all; a call also ends every `sync_every` iterations, unless
        that is 0. On an accelerator
        it is `vmap`ped over the runs. On a CPU a program keeps one core busy, and products of many
        small matrices at once take longer there than one after the other: the runs are calls of one
        program, side by side in threads. A run's time is that of all of them.

        Over several `devices` environments are shared out evenly, and with them the rows of a
        batch; what is learned lies on all of them. The compiler places the sums across devices: the
        numbers are those of one device up to the order of summation."""
        env, num_envs, horizon, rows = self.env, self.num_envs, self.horizon, self.rows
        devices, cache_program = self.devices, self.cache_program
        count = steps // rows
        if count == start.number:
            return
        whole = math.gcd(count, start.number, self.sync_every)
        per_call = max(k for k in range(1, self.max_iterations_per_call + 1) if whole % k == 0)
        clock = time.perf_counter
        begin = clock()

        # Episodes that begin anew in every iteration have no phase.
        stagger = self.stagger and not learner.fresh_episodes
        environments = start.environments or [
            env.init(jax.random.key(seed.environment), num_envs, stagger=stagger) for seed in seeds
        ]
        starts = list(zip(states, environments, strict=True))
        static = eqx.filter(starts[0], eqx.is_array, inverse=True)
        size = len(starts) if devices > 1 or jax.default_backend() != "cpu" else 1
        single = size == 1

        mesh = Mesh(np.asarray(jax.devices()[:devices]), (_AXIS,))

        def in_time(trajectory: Trajectory) -> Trajectory:
            """Learning flattens [T, N] to rows, the time outermost: shared out over that, rows stay
            where they are."""
            if devices == 1:
                return trajectory
            return jax.lax.with_sharding_constraint(trajectory, NamedSharding(mesh, _SHARED))

        def several(
            parts: tuple[Learner, ActionMap], arrays: Any, key: PRNGKeyArray, first: Array
        ) -> Any:
            learner, to_env = parts

            def one(arrays: Any, index: Array) -> Any:
                state, env_state = eqx.combine(arrays, static)
                keys = jax.random.split(jax.random.fold_in(key, index), 3)
                behavior_key, rollout_key, fresh_key = keys
                policy = learner.behavior(state, behavior_key)
                if learner.fresh_episodes:
                    env_state = env.init(fresh_key, num_envs)
                env_state, trajectory, episodes = device_rollout(
                    env, horizon, to_env, env_state, policy, state.normalizer, rollout_key
                )
                trajectory = in_time(trajectory)
                seen = finite_guard.find_nonfinite(trajectory)
                state, metrics, critic = finite_guard.update(learner, state, trajectory, seen)
                return eqx.filter((state, env_state), eqx.is_array), (metrics, critic, episodes)

            return jax.lax.scan(one, arrays, first + np.arange(per_call))

        def all_runs(parts: tuple[Learner, ActionMap], arrays: Any, keys: Any, first: Array) -> Any:
            """(arrays of a group's runs, each run's arrays, each run's reports)."""
            if single:
                arrays, reports = several(parts, arrays, keys, first)
                return arrays, [arrays], [reports]
            both = eqx.filter_vmap(several, in_axes=(None, 0, 0, None))(parts, arrays, keys, first)
            each = [jax.tree.map(lambda x, j=j: x[j], both) for j in range(size)]
            return both[0], *([part[k] for part in each] for k in (0, 1))

        def joined(parts: list[Any]) -> Any:
            return parts[0] if single else jax.tree.map(lambda *x: jnp.stack(x), *parts)

        groups = [slice(i, i + size) for i in range(0, len(starts), size)]
        arrays = [joined([eqx.filter(x, eqx.is_array) for x in starts[group]]) for group in groups]
        keys = [joined([seed.collecting for seed in seeds[group]]) for group in groups]
        parts = learner, to_env
        if devices > 1:
            shared = _SHARED if single else PartitionSpec(None, *_SHARED)
            copied = NamedSharding(mesh, PartitionSpec())
            ((state, env_state),) = arrays
            state, keys, parts = (_put(tree, copied) for tree in (state, keys, parts))
            arrays = [(state, _put(env_state, NamedSharding(mesh, shared)))]
        # By what decides the dynamics, and not by the object, whose attributes may be others now.
        dynamics = attributes(env), attributes(env.env)
        fixed = dynamics, num_envs, horizon, per_call, devices, constants(static)
        args = parts, arrays[0], keys[0], np.int32(0)
        program = compile_cached(all_runs, *args, cache_program=cache_program, closed_over=fixed)
        compiling = clock() - begin

        def call(group: int, first: int) -> Any:
            arrays_after, each, reports = program(
                parts, arrays[group], keys[group], np.int32(first)
            )
            return arrays_after, each, jax.device_get(reports)

        for first in range(start.number, count, per_call):
            begin = clock()
            if len(groups) == 1:
                results = [call(0, first)]
            else:
                with ThreadPoolExecutor(min(len(groups), os.cpu_count() or 1)) as threads:
                    results = list(threads.map(call, range(len(groups)), itertools.repeat(first)))
            arrays = [result[0] for result in results]
            each, reports = (list(itertools.chain(*(r[k] for r in results))) for k in (1, 2))
            run = (clock() - begin) / per_call
            ends = [eqx.combine(part, static) for part in each]
            then = control()
            wants_snapshot = then is not Control.CONTINUE or first + per_call == count
            for i in range(per_call):
                last = i == per_call - 1
                total = run + (compiling if i == 0 else 0.0)
                timing = Timing(total, rows / total, compile=total - run, program=run)
                told = []
                for (state, env_state), report in zip(ends, reports, strict=True):
                    metrics, critic, episodes = jax.tree.map(lambda x, i=i: x[i], report)
                    returns, lengths = episodes.ended()
                    row, done = flatten(metrics, critic), (first + i + 1) * rows
                    snapshot = (
                        Snapshot(to_named_arrays(env=env_state), {})
                        if last and wants_snapshot
                        else None
                    )
                    ended = returns, lengths
                    told.append(
                        Iteration(
                            first + i, done, state, row, *ended, timing, env_snapshot=snapshot
                        )
                    )
                yield told
            if then is Control.STOP:
                return
            compiling = 0.0

    def restore(
        self, snapshot: Snapshot, state: TrainState, *, seed: int
    ) -> tuple[Any, str | None]:
        template = jax.eval_shape(lambda key: self.env.init(key, self.num_envs), jax.random.key(0))
        arrays = dict(snapshot.arrays)
        if template.limit is not None and "env.limit" not in arrays:
            # Written before a state had it.
            arrays["env.limit"] = np.full(self.num_envs, self.env.time_limit, np.int32)
        return from_named_arrays(arrays, env=template)["env"], None

    def close(self) -> None:
        pass


def _put(tree: Any, where: NamedSharding) -> Any:
    arrays, rest = eqx.partition(tree, eqx.is_array)
    return eqx.combine(jax.device_put(arrays, where), rest)

"""Iterations on the device as one function, to be compiled: collection and learning, of one run or
of several runs side by side."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PRNGKeyArray

from surefoot.common.compile_cache import attributes, compile_cached, constants
from surefoot.core.data.following import Following
from surefoot.core.data.types import Trajectory
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.spaces.actions import ActionMap
from surefoot.methods.learners.learner import Learner
from surefoot.training.rollout import device_rollout

_AXIS = "environments"
_SHARED = PartitionSpec(_AXIS)


@dataclasses.dataclass(frozen=True)
class DeviceProgram:
    """What a call of the compiled program does: `per_call` iterations of each of `size` runs."""

    env: DeviceEnv
    num_envs: int
    horizon: int
    per_call: int
    size: int
    devices: int
    fresh_episodes: bool
    """Whether each iteration begins episodes anew."""
    segment_length: int | None
    """Rows of a segment, of networks with memory."""
    static: Any
    """A run's (state, environments) but for their arrays."""

    def function(self) -> Callable[..., Any]:
        """(learner and action map, arrays, keys, number of the first iteration) → (arrays of all
        runs, each run's arrays, each run's reports)."""
        mesh = self._mesh()

        def in_time(trajectory: Trajectory) -> Trajectory:
            """Learning flattens [T, N] to rows, the time outermost: shared out over that, rows stay
            where they are. Of memories there is one a segment, of final images a few."""
            if self.devices == 1:
                return trajectory
            where = NamedSharding(mesh, _SHARED)
            rows = trajectory._replace(memory=None)
            images = isinstance(trajectory.next_obs, Following)
            if images:
                rows = rows._replace(next_obs=None)
            shared: Trajectory = jax.lax.with_sharding_constraint(rows, where)
            shared = shared._replace(memory=trajectory.memory)
            return shared._replace(next_obs=trajectory.next_obs) if images else shared

        def several(
            parts: tuple[Learner, ActionMap], arrays: Any, key: PRNGKeyArray, first: Array
        ) -> Any:
            learner, to_env = parts

            def one(arrays: Any, index: Array) -> Any:
                state, standing = eqx.combine(arrays, self.static)
                keys = jax.random.split(jax.random.fold_in(key, index), 3)
                behavior_key, rollout_key, fresh_key = keys
                policy = learner.behavior(state, behavior_key)
                if self.fresh_episodes:
                    standing = standing._replace(env=self.env.init(fresh_key, self.num_envs))
                standing, trajectory, episodes = device_rollout(
                    self.env,
                    self.horizon,
                    to_env,
                    standing,
                    policy,
                    state.normalizer,
                    rollout_key,
                    segment_length=self.segment_length,
                )
                state, metrics, critic = learner.update(state, in_time(trajectory))
                return eqx.filter((state, standing), eqx.is_array), (metrics, critic, episodes)

            return jax.lax.scan(one, arrays, first + np.arange(self.per_call))

        def all_runs(parts: tuple[Learner, ActionMap], arrays: Any, keys: Any, first: Array) -> Any:
            if self.size == 1:
                arrays, reports = several(parts, arrays, keys, first)
                return arrays, [arrays], [reports]
            both = eqx.filter_vmap(several, in_axes=(None, 0, 0, None))(parts, arrays, keys, first)
            each = [jax.tree.map(lambda x, j=j: x[j], both) for j in range(self.size)]
            return both[0], *([part[k] for part in each] for k in (0, 1))

        return all_runs

    def compiled(self, *args: Any, cache_program: bool) -> Callable[..., Any]:
        """The compiled `function`, by `compile_cached`."""
        # By what decides the dynamics, and not by the object, whose attributes may be others now.
        dynamics = attributes(self.env), attributes(self.env.env)
        numbers = self.num_envs, self.horizon, self.per_call, self.size, self.devices
        flags = self.fresh_episodes, self.segment_length
        closed_over = dynamics, numbers, flags, constants(self.static)
        return compile_cached(
            self.function(), *args, cache_program=cache_program, closed_over=closed_over
        )

    def joined(self, parts: Sequence[Any]) -> Any:
        """The runs' arrays as one argument."""
        return parts[0] if self.size == 1 else jax.tree.map(lambda *x: jnp.stack(x), *parts)

    def placed(self, parts: Any, arrays: Any, keys: Any) -> tuple[Any, Any, Any]:
        """The arguments where they are to lie: environments shared out evenly over the devices,
        everything else on all of them."""
        if self.devices == 1:
            return parts, arrays, keys
        mesh = self._mesh()
        shared = _SHARED if self.size == 1 else PartitionSpec(None, *_SHARED)
        copied = NamedSharding(mesh, PartitionSpec())
        state, env_state = arrays
        state, keys, parts = (_put(tree, copied) for tree in (state, keys, parts))
        return parts, (state, _put(env_state, NamedSharding(mesh, shared))), keys

    def _mesh(self) -> Mesh:
        return Mesh(np.asarray(jax.devices()[: self.devices]), (_AXIS,))


class DeviceCalls:
    """The compiled program with the arrays of all runs, which each call moves on. The runs are as
    many groups as it takes, side by side in threads."""

    def __init__(
        self,
        program: DeviceProgram,
        parts: tuple[Learner, ActionMap],
        starts: Sequence[Any],
        keys: Sequence[PRNGKeyArray],
        *,
        cache_program: bool,
    ) -> None:
        self._static, size = program.static, program.size
        groups = [slice(i, i + size) for i in range(0, len(starts), size)]
        placed = [
            program.placed(
                parts,
                program.joined([eqx.filter(start, eqx.is_array) for start in starts[group]]),
                program.joined(keys[group]),
            )
            for group in groups
        ]
        self._parts, arrays, keys_ = zip(*placed, strict=True)
        self._arrays, self._keys = list(arrays), list(keys_)
        first = self._parts[0], self._arrays[0], self._keys[0], np.int32(0)
        self._program = program.compiled(*first, cache_program=cache_program)

    def __call__(self, first: int) -> tuple[list[Any], list[Any]]:
        """The iterations from number `first` on: (each run's state and environments after them,
        each run's reports)."""
        groups = range(len(self._arrays))
        if len(groups) == 1:
            results = [self._call(0, first)]
        else:
            with ThreadPoolExecutor(min(len(groups), os.cpu_count() or 1)) as threads:
                results = list(threads.map(self._call, groups, itertools.repeat(first)))
        each, reports = (list(itertools.chain(*(r[k] for r in results))) for k in (0, 1))
        return [eqx.combine(part, self._static) for part in each], reports

    def _call(self, group: int, first: int) -> tuple[Any, Any]:
        arguments = self._parts[group], self._arrays[group], self._keys[group], np.int32(first)
        self._arrays[group], each, reports = self._program(*arguments)
        return each, jax.device_get(reports)


def _put(tree: Any, where: NamedSharding) -> Any:
    arrays, rest = eqx.partition(tree, eqx.is_array)
    return eqx.combine(jax.device_put(arrays, where), rest)

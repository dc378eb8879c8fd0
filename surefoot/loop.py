"""The loop: collect a trajectory, improve the policy, fit the critic, report.

No line of it knows which method runs. `host_iterations` steps Gymnasium environments and learns in
one compiled call an iteration; `device_iterations` compiles the whole iteration, collection
included, and `scan`s several of them in one call; `recorded_iterations` learns from the same
recorded data again and again. All yield the same `Iteration`s and stop before the budget of steps
would be exceeded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from surefoot.cloning import Recorded
from surefoot.envs.device import DeviceEnv
from surefoot.envs.host import HostEnv
from surefoot.envs.spaces import ActionMap
from surefoot.learner import Learner, TrainState
from surefoot.rollout import Episodes, HostRollout, RolloutTime, device_rollout


class Timing(NamedTuple):
    """Where one iteration's wall time went, in seconds; `None` where it cannot be told apart."""

    environment: float | None
    act: float | None
    update: float | None
    program: float | None
    """On the device: the whole iteration, one compiled program."""
    compile: float
    """Tracing and compiling, in the first iteration only."""
    total: float
    """The whole iteration, with what is not listed."""
    steps_per_s: float
    """Environment steps over `total`."""

    @property
    def collected(self) -> bool:
        """Whether environments were stepped."""
        return self.environment is not None or self.program is not None


class Iteration(NamedTuple):
    """What one turn of the loop did."""

    number: int
    """Counts from 0."""
    steps: int
    """Environment steps of the run so far, with this iteration's."""
    state: TrainState
    """The state after this iteration; on the device, after the last one of the same call."""
    metrics: dict[str, float | bool | int]
    """Every diagnostic, flat: the policy update's by their field names, the critic's with the
    prefix `critic_`."""
    episode_returns: np.ndarray
    """Raw undiscounted returns of the episodes that ended in this iteration."""
    episode_lengths: np.ndarray
    """Their lengths in steps."""
    timing: Timing


class Seeds(NamedTuple):
    """Independent sources of randomness for one run."""

    environment: int
    """Sub-environment i is seeded with this + i; far apart for neighboring seeds."""
    networks: PRNGKeyArray
    """Initial weights."""
    learning: PRNGKeyArray
    collecting: PRNGKeyArray

    @classmethod
    def of(cls, seed: int) -> Seeds:
        """Those of the run's seed."""
        environment = int(np.random.SeedSequence(seed).generate_state(1, np.uint32)[0] >> 1)
        return cls(environment, *jax.random.split(jax.random.key(seed), 3))


def host_iterations(
    learner: Learner,
    env: HostEnv,
    to_env: ActionMap,
    state: TrainState,
    *,
    horizon: int,
    steps: int,
    seeds: Seeds,
) -> Iterator[Iteration]:
    """Iterations of `horizon` rows a sub-environment until another one might exceed `steps`."""
    rollout = HostRollout(env, horizon, to_env)
    env_state = rollout.init(seeds.environment)
    update: Callable[..., Any] | None = None
    done = index = 0
    clock = time.perf_counter
    while done + horizon * env.num_envs <= steps:
        begin = clock()
        compiling = 0.0
        behavior_key, act_key = jax.random.split(jax.random.fold_in(seeds.collecting, index))
        policy = learner.behavior(state, behavior_key)
        if index > 0 and learner.fresh_episodes:
            env_state = rollout.init(None)
        if index == 0:
            rollout.compile(env_state, policy, state.normalizer, act_key)
            compiling += clock() - begin
        env_state, trajectory, collected = rollout(env_state, policy, state.normalizer, act_key)

        learn = clock()
        if update is None:
            update = _compiled(learner.update, state, trajectory)
            compiled = clock() - learn
            compiling += compiled
            learn += compiled
        state, metrics, critic = update(state, trajectory)
        row = flatten(metrics, critic)
        end = clock()

        done += int(metrics.valid_rows)
        returns, lengths = Episodes.of(trajectory).ended()
        timing = _host_timing(collected, end - learn, compiling, end - begin, metrics.valid_rows)
        yield Iteration(index, done, state, row, returns, lengths, timing)
        index += 1


def _host_timing(
    collected: RolloutTime, update: float, compiling: float, total: float, rows: Array
) -> Timing:
    return Timing(
        environment=collected.environment,
        act=collected.act,
        update=update,
        program=None,
        compile=compiling,
        total=total,
        steps_per_s=int(rows) / total,
    )


def device_iterations(
    learner: Learner,
    env: DeviceEnv,
    to_env: ActionMap,
    state: TrainState,
    *,
    num_envs: int,
    horizon: int,
    steps: int,
    seeds: Seeds,
    most_per_call: int = 16,
) -> Iterator[Iteration]:
    """⌊steps/(horizon·num_envs)⌋ iterations, each one part of a compiled program. A call runs as
    many as divide their number evenly, `most_per_call` at most, so that one program fits all."""
    rows = horizon * num_envs
    count = steps // rows
    if count == 0:
        return
    per_call = max(k for k in range(1, most_per_call + 1) if count % k == 0)
    env_state = env.init(jax.random.key(seeds.environment), num_envs)
    program, compiling = None, 0.0
    clock = time.perf_counter

    def several(state: TrainState, env_state: Any, key: PRNGKeyArray, first: Array) -> Any:
        arrays, static = eqx.partition((state, env_state), eqx.is_array)

        def one(arrays: Any, index: Array) -> Any:
            state, env_state = eqx.combine(arrays, static)
            keys = jax.random.split(jax.random.fold_in(key, index), 3)
            behavior_key, rollout_key, fresh_key = keys
            policy = learner.behavior(state, behavior_key)
            if learner.fresh_episodes:
                env_state = env.init(fresh_key, num_envs)
            env_state, trajectory = device_rollout(
                env, horizon, to_env, env_state, policy, state.normalizer, rollout_key
            )
            state, metrics, critic = learner.update(state, trajectory)
            episodes = Episodes.of(trajectory)
            return eqx.filter((state, env_state), eqx.is_array), (metrics, critic, episodes)

        arrays, reports = jax.lax.scan(one, arrays, first + np.arange(per_call))
        return eqx.combine(arrays, static), reports

    for first in range(0, count, per_call):
        begin = clock()
        args = (state, env_state, seeds.collecting, np.int32(first))
        if program is None:
            program = _compiled(several, *args)
            compiling = clock() - begin
        (state, env_state), reports = program(*args)
        metrics, critic, episodes = jax.device_get(reports)
        run = (clock() - begin - compiling) / per_call
        for i in range(per_call):
            at = (jax.tree.map(lambda x, i=i: x[i], part) for part in (metrics, critic, episodes))
            metric_row, critic_row, episode_row = at
            returns, lengths = episode_row.ended()
            compiled = compiling if i == 0 else 0.0
            timing = Timing(
                environment=None,
                act=None,
                update=None,
                program=run,
                compile=compiled,
                total=run + compiled,
                steps_per_s=rows / (run + compiled),
            )
            row = flatten(metric_row, critic_row)
            done = (first + i + 1) * rows
            yield Iteration(first + i, done, state, row, returns, lengths, timing)
        compiling = 0.0


def recorded_iterations(
    learner: Learner, data: Recorded, state: TrainState, *, steps: int
) -> Iterator[Iteration]:
    """One turn on all of the data an iteration, until another one would exceed `steps` rows."""
    rows = data.obs.shape[0]
    update: Callable[..., Any] | None = None
    clock = time.perf_counter
    for index in range(steps // rows):
        begin = clock()
        compiling = 0.0
        if update is None:
            update = _compiled(learner.update, state, data)
            compiling = clock() - begin
        state, metrics, critic = update(state, data)
        row = flatten(metrics, critic)
        total = clock() - begin
        timing = Timing(
            environment=None,
            act=None,
            update=total - compiling,
            program=None,
            compile=compiling,
            total=total,
            steps_per_s=rows / total,
        )
        none = np.zeros(0)
        yield Iteration(index, (index + 1) * rows, state, row, none, none, timing)


def _compiled(function: Callable[..., Any], *args: Any) -> Callable[..., Any]:
    """Compiled ahead of its first call: it never compiles again, and the time can be told."""
    jitted: Any = eqx.filter_jit(function)
    return jitted.lower(*args).compile()


def flatten(metrics: Any, critic: Any) -> dict[str, float | bool | int]:
    """Named tuples and dicts, nested to any depth, as one flat dict of Python numbers."""
    flat: dict[str, float | bool | int] = {}

    def visit(node: Any, prefix: str) -> None:
        for name, value in (node if isinstance(node, dict) else node._asdict()).items():
            if isinstance(value, tuple | dict):
                if value:  # A part with nothing to report says ().
                    visit(value, prefix)
            else:
                assert prefix + name not in flat, f"two diagnostics are called {prefix + name}"
                flat[prefix + name] = np.asarray(value).item()

    visit(jax.device_get(metrics), "")
    if critic is not None:
        visit(jax.device_get(critic), "critic_")
    return flat

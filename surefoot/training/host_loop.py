"""The loop on the host: two compiled calls an iteration, one of them beside the next collection.

What the policy does next does not depend on the critic. Its regression therefore runs in a thread
of its own while the environments step, and is waited for where its values are needed, before the
next advantages: the numbers are those of one after the other.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from surefoot.common.arrays import Snapshot
from surefoot.common.compile_cache import compile_cached
from surefoot.core.data.normalization import offset_of, with_offset
from surefoot.envs.host.host_env import HostEnv
from surefoot.envs.spaces.actions import ActionMap
from surefoot.methods.learners import finite_guard
from surefoot.methods.learners.finite_guard import PendingCriticFit
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
from surefoot.training.rollout import (
    HostRollout,
    Transitions,
    restore_groups,
    save_groups,
    with_old,
)


class Fitted(NamedTuple):
    """What the critic's thread leaves."""

    state: TrainState
    info: Any
    seconds: float


class Unfinished(NamedTuple):
    """An iteration whose critic is being fitted; `told` lacks what the critic's fit changes."""

    told: Iteration
    metrics: Any
    fitted: Future[Fitted]

    def finish(self) -> Iteration:
        """The iteration, once the critic is fitted."""
        state, info, seconds = self.fitted.result()
        timing = self.told.timing._replace(critic=seconds)
        return self.told._replace(state=state, metrics=flatten(self.metrics, info), timing=timing)


class Programs:
    """The two compiled calls, each made for the shapes of its first."""

    def __init__(self, learner: Learner, *, cache_program: bool) -> None:
        self._learner, self._cache_program = learner, cache_program
        self._improve: Callable[..., Any] | None = None
        self._fit: Callable[..., Any] | None = None
        self.compiling = 0.0
        """Seconds spent on compiling."""

    def improve(
        self, state: TrainState, key: PRNGKeyArray, transitions: Transitions
    ) -> tuple[TrainState, PendingCriticFit | None, Any]:
        """`Learner.improve` on what its behavior of that key collected."""
        args = self._learner, state, key, transitions
        self._improve = self._improve or self._made(_improve, *args)
        return jax.block_until_ready(self._improve(*args))

    def fit(self, thread: Executor, state: TrainState, pending: PendingCriticFit) -> Future[Fitted]:
        """`Learner.fit_critic`, in that thread."""
        args = self._learner, state, pending
        program = self._fit = self._fit or self._made(finite_guard.fit_critic, *args)

        def run() -> Fitted:
            begin = time.perf_counter()
            state, info = jax.block_until_ready(program(*args))
            return Fitted(state, info, time.perf_counter() - begin)

        return thread.submit(run)

    def _made(self, function: Callable[..., Any], *args: Any) -> Callable[..., Any]:
        begin = time.perf_counter()
        program = compile_cached(function, *args, cache_program=self._cache_program)
        self.compiling += time.perf_counter() - begin
        return program


def _improve(
    learner: Learner, state: TrainState, key: PRNGKeyArray, transitions: Transitions
) -> Any:
    policy = learner.behavior(state, key)
    trajectory = with_old(transitions, policy, state.normalizer)
    return finite_guard.improve(learner, state, trajectory, finite_guard.find_nonfinite(trajectory))


@jax.jit
def _keys(key: PRNGKeyArray, number: Any) -> Any:
    return tuple(jax.random.split(jax.random.fold_in(key, number)))


class HostLoop(TrainingLoop):
    """The loop over groups of environments on the host, `horizon` steps of each an iteration."""

    def __init__(self, groups: list[HostEnv], horizon: int, *, owned: bool) -> None:
        self.groups, self.horizon = groups, horizon
        self.num_envs = sum(group.num_envs for group in groups)
        first = groups[0]
        self.name = first.name
        self.observation_space, self.action_space = first.observation_space, first.action_space
        self.rows, self.rows_in_words = batch_rows(horizon, self.num_envs)
        self._owned = owned

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
        """Iterations of `horizon` rows an environment until another one might exceed `steps`. One
        with a critic is told when that is fitted, and by then the next one has been collected;
        where its environments stood is asked before."""
        groups, horizon, cache_program = self.groups, self.horizon, self.cache_program
        rollout = HostRollout(groups, horizon, to_env, cache_program=cache_program)
        programs = Programs(learner, cache_program=cache_program)
        rows = self.rows
        number, done, env_states = start
        if env_states is None:
            # An offset is the normalizer's business: without one, observations stay as they are.
            env_states = rollout.init(
                seeds.environment, new_offset=state.normalizer.offset is not None
            )
            state = state._replace(normalizer=with_offset(state.normalizer, groups[0].offset))
        unfinished: Unfinished | None = None
        then = Control.CONTINUE
        clock = time.perf_counter
        began = clock()
        with ThreadPoolExecutor(1, thread_name_prefix="critic") as thread:
            while done + rows <= steps and then is not Control.STOP:
                key, act_key = _keys(seeds.collecting, np.int32(number))
                policy = learner.behavior(state, key)
                if number > 0 and learner.fresh_episodes:
                    env_states = rollout.init(None)
                if number == start.number:
                    begin = clock()
                    rollout.compile(env_states, policy, state.normalizer, act_key)
                    programs.compiling += clock() - begin
                try:
                    env_states, transitions, collected = rollout(
                        env_states, policy, state.normalizer, act_key
                    )
                finally:
                    # Also where the environments fail: what was learned before is told.
                    if unfinished is not None:
                        finished = unfinished.finish()
                        state, unfinished = finished.state, None
                        paused = clock()
                        yield finished
                        began += clock() - paused

                before = programs.compiling
                learn = clock()
                state, pending, metrics = programs.improve(state, key, transitions)
                update = clock() - learn - (programs.compiling - before)
                fitted = None if pending is None else programs.fit(thread, state, pending)

                taken = int(transitions.valid.sum())
                done += taken + collected.lost
                then = control()
                wants_snapshot = then is not Control.CONTINUE or done + rows > steps
                snapshot = save_groups(groups, env_states) if wants_snapshot else None
                end = clock()
                timing = Timing(
                    total=end - began,
                    steps_per_s=taken / (end - began),
                    compile=programs.compiling,
                    environment=collected.environment,
                    act=collected.act,
                    update=update,
                )
                returns, lengths = collected.episodes.ended()
                notices = collected.notices
                told = Iteration(
                    number, done, state, {}, returns, lengths, timing, notices, snapshot
                )
                if fitted is None:
                    yield told._replace(metrics=flatten(metrics, None))
                    end = clock()
                else:
                    unfinished = Unfinished(told, metrics, fitted)
                began, programs.compiling = end, 0.0
                number += 1
            if unfinished is not None:
                last = unfinished.finish()
                total = last.timing.total + clock() - began
                yield last._replace(
                    timing=last.timing._replace(total=total, steps_per_s=taken / total)
                )

    def restore(
        self, snapshot: Snapshot, state: TrainState, *, seed: int
    ) -> tuple[Any, str | None]:
        for group in self.groups:
            group.offset = offset_of(state.normalizer)
        return restore_groups(self.groups, snapshot, seed=seed)

    def close(self) -> None:
        with contextlib.ExitStack() as closing:
            for group in self.groups if self._owned else ():
                closing.callback(group.close)

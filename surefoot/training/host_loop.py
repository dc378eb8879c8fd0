"""The loop on the host: two compiled calls an iteration, one of them beside the next collection.

What the policy does next does not depend on the critic. Its regression therefore runs in a thread
of its own while the environments step, and is waited for where its values are needed, before the
next advantages: the numbers are those of one after the other.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator
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
from surefoot.methods.learners.learner import Learner, TrainState
from surefoot.training.iteration import (
    Iteration,
    ResumePoint,
    Seeds,
    Timing,
    flatten,
)
from surefoot.training.loop import TrainingLoop, batch_rows
from surefoot.training.rollout import (
    GroupState,
    HostRollout,
    RolloutInfo,
    Transitions,
    mark_groups,
    restore_groups,
    with_old,
)


class Fitted(NamedTuple):
    """What the critic's thread leaves."""

    state: TrainState
    info: Any
    seconds: float


class Learned(NamedTuple):
    """What an iteration's learning leaves, all but the critic."""

    state: TrainState
    metrics: Any
    fitted: Future[Fitted] | None
    """The critic's fit, which may still be going on; `None` without a critic."""
    seconds: float


class Unfinished(NamedTuple):
    """An iteration whose critic may still be being fitted; `told` lacks what the fit changes."""

    told: Iteration
    learned: Learned

    def finish(self) -> Iteration:
        """The iteration, once the critic is fitted."""
        told, (state, metrics, fitted, _) = self
        if fitted is None:
            return told._replace(metrics=flatten(metrics, None))
        state, info, seconds = fitted.result()
        timing = told.timing._replace(critic=seconds)
        return told._replace(state=state, metrics=flatten(metrics, info), timing=timing)


class Programs:
    """The two compiled calls, each made for the shapes of its first; of images, for each number of
    slots."""

    def __init__(self, learner: Learner, thread: Executor, *, cache_program: bool) -> None:
        self._learner, self._thread, self._cache_program = learner, thread, cache_program
        self._improve: dict[int, Callable[..., Any]] = {}
        self._fit: Callable[..., Any] | None = None
        self.compiling = 0.0
        """Seconds spent on compiling in this iteration."""

    def learn(self, state: TrainState, key: PRNGKeyArray, transitions: Transitions) -> Learned:
        """`Learner.improve` on what its behavior of that key collected, and in the thread
        `Learner.fit_critic`."""
        args = self._learner, state, key, transitions
        slots = transitions.final_slots
        improve = self._improve.get(slots) or self._made(_improve, *args)
        self._improve[slots] = improve
        begin = time.perf_counter()
        state, pending, metrics = jax.block_until_ready(improve(*args))
        seconds = time.perf_counter() - begin
        fitted = None if pending is None else self._fitting(self._learner, state, pending)
        return Learned(state, metrics, fitted, seconds)

    def _fitting(self, *args: Any) -> Future[Fitted]:
        program = self._fit = self._fit or self._made(_fit_critic, *args)

        def run() -> Fitted:
            begin = time.perf_counter()
            state, info = jax.block_until_ready(program(*args))
            return Fitted(state, info, time.perf_counter() - begin)

        return self._thread.submit(run)

    def _made(self, function: Callable[..., Any], *args: Any) -> Callable[..., Any]:
        begin = time.perf_counter()
        program = compile_cached(function, *args, cache_program=self._cache_program)
        self.compiling += time.perf_counter() - begin
        return program


def _improve(
    learner: Learner, state: TrainState, key: PRNGKeyArray, transitions: Transitions
) -> Any:
    policy = learner.behavior(state, key)
    return learner.improve(state, with_old(transitions, policy, state.normalizer))


def _fit_critic(learner: Learner, state: TrainState, pending: Any) -> Any:
    return learner.fit_critic(state, pending)


def _timing(
    total: float, steps: int, programs: Programs, collected: RolloutInfo, learned: Learned
) -> Timing:
    return Timing.of(
        total,
        steps,
        compile=programs.compiling,
        environment=collected.environment,
        act=collected.act,
        update=learned.seconds,
    )


@jax.jit
def _keys(key: PRNGKeyArray, number: Any) -> Any:
    return tuple(jax.random.split(jax.random.fold_in(key, number)))


class HostLoop(TrainingLoop):
    """The loop over groups of environments on the host, `horizon` steps of each an iteration."""

    def __init__(
        self,
        groups: list[HostEnv],
        horizon: int,
        *,
        owned: bool,
        fresh_episodes: bool = False,
        segment_length: int | None = None,
    ) -> None:
        self.groups, self.horizon, self.segment_length = groups, horizon, segment_length
        self.num_envs = sum(group.num_envs for group in groups)
        first = groups[0]
        self.name, self.lives = first.name, bool(first.lives)
        self.observation_space, self.action_space = first.observation_space, first.action_space
        self.rows, self.rows_in_words = batch_rows(horizon, self.num_envs)
        self._owned, self._fresh_episodes = owned, fresh_episodes

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
        """Iterations of `horizon` rows an environment until another one might exceed `steps`. One
        with a critic is told when that is fitted, and by then the next one has been collected."""
        rollout = self._rollout(to_env)
        number, done, env_states = start
        if env_states is None:
            initial = learner.behavior(state, seeds.collecting).initial
            env_states, state = self._begin(rollout, state, initial, seeds)
        unfinished: Unfinished | None = None
        clock = time.perf_counter
        began = clock()
        with ThreadPoolExecutor(1, thread_name_prefix="critic") as thread:
            programs = Programs(learner, thread, cache_program=self.cache_program)
            while done + self.rows <= steps:
                key, act_key = _keys(seeds.collecting, np.int32(number))
                acting = learner.behavior(state, key), state.normalizer, act_key
                if number > 0 and self._fresh_episodes:
                    env_states = rollout.init(None, acting[0].initial)
                if number == start.number:
                    begin = clock()
                    rollout.compile(env_states, *acting)
                    programs.compiling += clock() - begin
                try:
                    env_states, transitions, collected = rollout(env_states, *acting)
                finally:
                    # Also where the environments fail: what was learned before is told.
                    if unfinished is not None:
                        finished, unfinished = unfinished.finish(), None
                        state, paused = finished.state, clock()
                        yield finished
                        began += clock() - paused
                learned = programs.learn(state, key, transitions)
                state, taken = learned.state, int(transitions.valid.sum())
                done += taken + collected.lost
                snapshot = mark_groups(self.groups, env_states)
                timing = _timing(clock() - began, taken, programs, collected, learned)
                returns, lengths, notices = *collected.episodes.ended(), collected.notices
                told = Iteration(
                    number, done, state, {}, returns, lengths, timing, notices, snapshot
                )
                unfinished, began = Unfinished(told, learned), clock()
                number, programs.compiling = number + 1, 0.0
                if learned.fitted is None:
                    finished, unfinished = unfinished.finish(), None
                    yield finished
                    began = clock()
            if unfinished is not None:
                last = unfinished.finish()
                yield last._replace(timing=last.timing.longer(clock() - began, taken))

    def _rollout(self, to_env: ActionMap) -> HostRollout:
        return HostRollout(
            self.groups,
            self.horizon,
            to_env,
            cache_program=self.cache_program,
            segment_length=self.segment_length,
        )

    def _begin(
        self, rollout: HostRollout, state: TrainState, initial: Callable[[int], Any], seeds: Seeds
    ) -> tuple[list[GroupState], TrainState]:
        # An offset is the normalizer's business: without one, observations stay as they are.
        new_offset = state.normalizer.offset is not None
        env_states = rollout.init(seeds.environment, initial, new_offset=new_offset)
        normalizer = with_offset(state.normalizer, self.groups[0].offset)
        return env_states, state._replace(normalizer=normalizer)

    def restore(
        self, snapshot: Snapshot, state: TrainState, *, seed: int
    ) -> tuple[Any, str | None]:
        for group in self.groups:
            group.offset = offset_of(state.normalizer)
        return restore_groups(self.groups, snapshot, state.policy.initial, seed=seed)

    def close(self) -> None:
        with contextlib.ExitStack() as closing:
            for group in self.groups if self._owned else ():
                closing.callback(group.close)

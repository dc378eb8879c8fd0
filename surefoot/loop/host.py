"""The loop on the host: two compiled calls an iteration, one of them beside the next collection.

What the policy does next does not depend on the critic. Its regression therefore runs in a thread
of its own while the environments step, and is waited for where its values are needed, before the
next advantages: the numbers are those of one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from surefoot.envs.host import HostEnv
from surefoot.envs.spaces import ActionMap
from surefoot.learner import Learner, TrainState
from surefoot.loop.iteration import Iteration, Seeds, Timing, compiled, flatten
from surefoot.rollout import Episodes, HostRollout, Transitions, with_old
from surefoot.types import Batch


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

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self._improve: Callable[..., Any] | None = None
        self._fit: Callable[..., Any] | None = None
        self.compiling = 0.0
        """Seconds spent on compiling."""

    def improve(
        self, state: TrainState, key: PRNGKeyArray, transitions: Transitions
    ) -> tuple[TrainState, Batch | None, Any]:
        """`Learner.improve` on what its behavior of that key collected."""

        def improve(learner: Learner, *args: Any) -> Any:
            state, key, transitions = args
            policy = learner.behavior(state, key)
            return learner.improve(state, with_old(transitions, policy, state.normalizer))

        args = self._learner, state, key, transitions
        self._improve = self._improve or self._made(improve, *args)
        return jax.block_until_ready(self._improve(*args))

    def fit(self, thread: Executor, state: TrainState, batch: Batch) -> Future[Fitted]:
        """`Learner.fit_critic`, in that thread."""

        def fit(learner: Learner, *args: Any) -> Any:
            return learner.fit_critic(*args)

        args = self._learner, state, batch
        program = self._fit = self._fit or self._made(fit, *args)

        def run() -> Fitted:
            begin = time.perf_counter()
            state, info = jax.block_until_ready(program(*args))
            return Fitted(state, info, time.perf_counter() - begin)

        return thread.submit(run)

    def _made(self, function: Callable[..., Any], *args: Any) -> Callable[..., Any]:
        begin = time.perf_counter()
        program = compiled(function, *args)
        self.compiling += time.perf_counter() - begin
        return program


@jax.jit
def _keys(key: PRNGKeyArray, number: Any) -> Any:
    return tuple(jax.random.split(jax.random.fold_in(key, number)))


def host_iterations(
    learner: Learner,
    groups: Sequence[HostEnv],
    to_env: ActionMap,
    state: TrainState,
    *,
    horizon: int,
    steps: int,
    seeds: Seeds,
) -> Iterator[Iteration]:
    """Iterations of `horizon` rows an environment until another one might exceed `steps`. One with
    a critic is told when that is fitted, and by then the next one has been collected."""
    rollout, programs = HostRollout(groups, horizon, to_env), Programs(learner)
    rows = horizon * sum(group.num_envs for group in groups)
    env_states = rollout.init(seeds.environment)
    unfinished: Unfinished | None = None
    done = number = 0
    clock = time.perf_counter
    began = clock()
    with ThreadPoolExecutor(1, thread_name_prefix="critic") as thread:
        while done + rows <= steps:
            key, act_key = _keys(seeds.collecting, np.int32(number))
            policy = learner.behavior(state, key)
            if number > 0 and learner.fresh_episodes:
                env_states = rollout.init(None)
            if number == 0:
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
            state, batch, metrics = programs.improve(state, key, transitions)
            update = clock() - learn - (programs.compiling - before)
            fitted = None if batch is None else programs.fit(thread, state, batch)

            taken = int(transitions.valid.sum())
            done += taken
            end = clock()
            timing = Timing(
                total=end - began,
                steps_per_s=taken / (end - began),
                compile=programs.compiling,
                environment=collected.environment,
                act=collected.act,
                update=update,
            )
            returns, lengths = Episodes.of(transitions).ended()
            notices = collected.notices
            told = Iteration(number, done, state, {}, returns, lengths, timing, notices)
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
            yield last._replace(timing=last.timing._replace(total=total, steps_per_s=taken / total))

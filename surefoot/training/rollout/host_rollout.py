"""Collecting on the host: one compiled call a step and group of environments.

While one group of environments steps, the policy acts for the other.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from surefoot.common.compile_cache import compile_cached, constants
from surefoot.core.data.normalization import Normalizer
from surefoot.core.data.types import Behavior
from surefoot.core.distributions import Distribution
from surefoot.envs.host.host_env import HostEnv
from surefoot.envs.spaces.actions import ActionMap
from surefoot.training.rollout.group_state import (
    GroupState,
    fresh_episodes,
    joined,
    no_memory,
    stacked,
)
from surefoot.training.rollout.host_rows import HostRows, put
from surefoot.training.rollout.transitions import Episodes, Transitions


class RolloutInfo(NamedTuple):
    """Where a host rollout's time went, and what happened on the way."""

    environment: float
    """Seconds spent waiting for the environments' steps."""
    act: float
    """Seconds in the policy, with the transfer of its actions."""
    lost: int
    """Steps that environments were lost in."""
    notices: tuple[str, ...]
    """A line for every environment that was restarted."""
    episodes: Episodes
    """The episodes that ended, without those that were cut to bring environments out of phase."""


def _remembered(starts: np.ndarray, memory: Any) -> tuple[Any, ...]:
    """What a policy with a memory is asked with, beside the observations; nothing for one without:
    an argument costs time at every step."""
    return (starts, memory) if jax.tree.leaves(memory) else ()


class HostRollout:
    """Collects `horizon` rows of every environment of some groups."""

    def __init__(
        self,
        groups: Sequence[HostEnv],
        horizon: int,
        to_env: ActionMap,
        *,
        cache_program: bool = False,
        segment_length: int | None = None,
    ) -> None:
        self.groups = list(groups)
        self.horizon = horizon
        self.segment_length = segment_length or horizon
        self._to_env, self._cache_program = to_env, cache_program
        ends = np.cumsum([0, *(group.num_envs for group in groups)]).tolist()
        self._columns = [slice(a, b) for a, b in itertools.pairwise(ends)]
        self._draw: Any = None
        self._act: dict[int, Any] = {}
        self._raw: Any = None

    def init(
        self,
        seed: int | None,
        initial: Callable[[int], Any] = no_memory,
        *,
        new_offset: bool = False,
    ) -> list[GroupState]:
        """`fresh_episodes`."""
        return fresh_episodes(self.groups, seed, initial, new_offset=new_offset)

    def compile(
        self, states: list[GroupState], policy: Behavior, normalizer: Normalizer, key: PRNGKeyArray
    ) -> None:
        """Compile the policy for these shapes. Call once before the first trajectory."""
        parts = self._to_env, policy, normalizer
        arrays, static = eqx.partition(parts, eqx.is_array)
        leaves, structure = jax.tree.flatten(arrays)

        def rebuilt(leaves: list[Array]) -> Any:
            return eqx.combine(jax.tree.unflatten(structure, leaves), static)

        def distribution(leaves: list[Array], obs: Any, starts: Any, memory: Any) -> Any:
            _, policy, normalizer = rebuilt(leaves)
            return policy.step(normalizer(obs), starts, memory)

        # Flat lists cross the boundary at every step: flattening modules costs more than the
        # network at these sizes, and so does every further output.
        def act(
            leaves: list[Array], obs: Any, noise: Any, number: Array, *before: Any
        ) -> tuple[Any, Any, Any]:
            now = jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, number, 0, False), noise)
            dist, memory = distribution(leaves, obs, *(before or (None, None)))
            raw = dist.draw(now)
            return rebuilt(leaves)[0](raw), raw, memory

        befores = [_remembered(state.starts, state.memory) for state in states]
        dists: list[Distribution] = [
            eqx.filter_eval_shape(distribution, leaves, state.obs, *(before or (None, None)))[0]
            for state, before in zip(states, befores, strict=True)
        ]

        def draw(key: PRNGKeyArray) -> list[Any]:
            """The noise of every step, for each group."""
            count = len(dists)
            numbers = np.arange(self.horizon * count, dtype=np.int32).reshape(-1, count)
            keys = jax.vmap(jax.vmap(functools.partial(jax.random.fold_in, key)))(numbers)
            return [jax.vmap(dist.noise)(keys[:, i]) for i, dist in enumerate(dists)]

        shapes = jax.tree.structure(dists), tuple(jax.tree.leaves(dists))
        plain: dict[str, Any] = {"cache_program": self._cache_program, "compiler": jax.jit}
        self._draw = compile_cached(draw, key, closed_over=(self.horizon, shapes), **plain)
        fixed = structure, constants(static)
        for state, noise, before in zip(states, jax.eval_shape(draw, key), befores, strict=True):
            args = leaves, state.obs, noise, np.int32(0), *before
            count = len(state.episode_length)
            if count not in self._act:
                self._act[count] = compile_cached(act, *args, closed_over=fixed, **plain)
        _, raw, _ = jax.eval_shape(act, *args)
        self._raw = raw

    def __call__(
        self, states: list[GroupState], policy: Behavior, normalizer: Normalizer, key: PRNGKeyArray
    ) -> tuple[list[GroupState], Transitions, RolloutInfo]:
        """The next `horizon` rows."""
        parts = self._to_env, policy, normalizer
        leaves = jax.tree.leaves(eqx.filter(parts, eqx.is_array))
        shape = self.horizon, sum(group.num_envs for group in self.groups)
        rows = HostRows.empty(shape, states[0].obs, self._raw, self.groups[0])
        current = [state.obs for state in states]
        starts = [state.starts for state in states]
        memory = [state.memory for state in states]
        begun: list[Any] = []
        notices: list[str] = []
        environment, lost = 0.0, 0
        begin = (clock := time.perf_counter)()
        noise = self._draw(key)
        acting = clock() - begin

        def receive(i: int, t: int) -> None:
            nonlocal environment, lost
            begin = clock()
            step = self.groups[i].recv()
            environment += clock() - begin
            rows.put((t, self._columns[i]), step)
            lost += step.lost
            notices.extend(step.notices)
            current[i] = step.obs
            starts[i] = step.terminated | step.truncated | ~step.valid
            if step.life_lost is not None:
                starts[i] |= step.life_lost

        def send(i: int, t: int) -> None:
            nonlocal acting
            obs = current[i]
            # Before the step: a vector environment may overwrite its observations in place.
            at = t, self._columns[i]
            put(rows.obs, at, obs)
            begin = clock()
            asked = leaves, obs, noise[i], np.int32(t), *_remembered(starts[i], memory[i])
            action, raw, memory[i] = self._act[len(starts[i])](*asked)
            action = jax.tree.map(np.asarray, action)
            put(rows.action, at, raw)
            acting += clock() - begin
            self.groups[i].send(action)

        for t in range(self.horizon):
            if t % self.segment_length == 0:
                begun.append(joined(memory))
            for i in range(len(self.groups)):
                if t > 0:
                    receive(i, t - 1)
                send(i, t)
        for i in range(len(self.groups)):
            receive(i, self.horizon - 1)
        after, transitions = rows.totals(states, current, self._columns)
        after = [state._replace(memory=m) for state, m in zip(after, memory, strict=True)]
        transitions = transitions._replace(memory=stacked(begun))
        episodes = Episodes.of(transitions, rows.staggered)
        return after, transitions, RolloutInfo(environment, acting, lost, tuple(notices), episodes)

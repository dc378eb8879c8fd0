"""Collecting on the host: one compiled call a step and group of environments.

While one group of environments steps, the policy acts for the other. Rows go into arrays of fixed
size, [T, N], a group's columns side by side.
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
from surefoot.training.rollout.final_images import FinalImages
from surefoot.training.rollout.group_state import (
    GroupState,
    fresh_episodes,
    joined,
    no_memory,
    stacked,
)
from surefoot.training.rollout.transitions import Episodes, Transitions, running_totals


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


class _Rows(NamedTuple):
    """What is written into while a trajectory is collected, [T, N, …]."""

    obs: Any
    next_obs: Any
    """`None` for images."""
    action: Any
    reward: np.ndarray
    """As it comes, float64."""
    terminated: np.ndarray
    truncated: np.ndarray
    valid: np.ndarray
    staggered: np.ndarray


def _put(rows: Any, at: Any, values: Any) -> None:
    """Write values into rows, trees of arrays."""
    if isinstance(rows, np.ndarray):
        rows[at] = values
        return
    for row, value in zip(jax.tree.leaves(rows), jax.tree.leaves(values), strict=True):
        row[at] = value


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
        self._images = bool(self.groups[0].encoding.images)
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

        befores = [_remembered(state.episode_length == 0, state.memory) for state in states]
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
        rows = self._empty(states[0].obs)
        current = [state.obs for state in states]
        starts = [state.episode_length == 0 for state in states]
        memory = [state.memory for state in states]
        begun: list[Any] = []
        finals = FinalImages(rows.valid.shape[1])
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
            at = t, self._columns[i]
            if self._images:
                finals.keep(self._columns[i].start, step)
            else:
                _put(rows.next_obs, at, step.next_obs)
            rows.reward[at] = step.reward
            rows.terminated[at], rows.truncated[at] = step.terminated, step.truncated
            rows.valid[at], rows.staggered[at] = step.valid, step.staggered
            lost += step.lost
            notices.extend(step.notices)
            current[i] = step.obs
            starts[i] = step.terminated | step.truncated | ~step.valid

        def send(i: int, t: int) -> None:
            nonlocal acting
            obs = current[i]
            # Before the step: a vector environment may overwrite its observations in place.
            at = t, self._columns[i]
            _put(rows.obs, at, obs)
            begin = clock()
            asked = leaves, obs, noise[i], np.int32(t), *_remembered(starts[i], memory[i])
            action, raw, memory[i] = self._act[len(starts[i])](*asked)
            action = jax.tree.map(np.asarray, action)
            _put(rows.action, at, raw)
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
        after, transitions = self._totals(states, current, rows)
        after = [state._replace(memory=m) for state, m in zip(after, memory, strict=True)]
        if self._images:
            transitions = transitions._replace(next_obs=finals.following(current))
        transitions = transitions._replace(memory=stacked(begun))
        episodes = Episodes.of(transitions, rows.staggered)
        return after, transitions, RolloutInfo(environment, acting, lost, tuple(notices), episodes)

    def _empty(self, obs: Any) -> _Rows:
        shape = self.horizon, sum(group.num_envs for group in self.groups)

        def empty(tree: Any) -> Any:
            return jax.tree.map(lambda x: np.empty((*shape, *x.shape[1:]), x.dtype), tree)

        terminated, truncated, valid, staggered = (np.empty(shape, bool) for _ in "abcd")
        flags = terminated, truncated, valid, staggered
        following = None if self._images else empty(obs)
        return _Rows(empty(obs), following, empty(self._raw), np.empty(shape), *flags)

    def _totals(
        self, states: list[GroupState], current: list[Any], rows: _Rows
    ) -> tuple[list[GroupState], Transitions]:
        """(where the groups stand, the transitions), with the totals of the episodes."""
        ends = (rows.terminated | rows.truncated) & rows.valid
        # What was lost of an episode is in no statistic.
        ends |= ~rows.valid
        earned_before = np.concatenate([state.episode_return for state in states])
        played_before = np.concatenate([state.episode_length for state in states])
        paid = np.where(rows.valid, rows.reward, 0.0)
        earned, earning = running_totals(paid, ends, earned_before)
        played, playing = running_totals(rows.valid.astype(float), ends, played_before)
        kept = rows._asdict()
        del kept["staggered"]
        transitions = Transitions(
            **{**kept, "reward": rows.reward.astype(np.float32)},
            episode_return=earned.astype(np.float32),
            episode_length=played.astype(np.int32),
        )
        after = [
            GroupState(obs, earning[columns], playing[columns])
            for obs, columns in zip(current, self._columns, strict=True)
        ]
        return after, transitions

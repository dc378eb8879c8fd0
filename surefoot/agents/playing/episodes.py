"""Whole episodes of one policy, played on the host or on the device; who plays them to measure
and who plays them to record plays the same ones.

On the host, every sub-environment plays a fixed share of the episodes, so that short episodes are
not favored as they would be by taking the first to finish. On the device, every copy plays one.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from surefoot.common.errors import UsageError
from surefoot.common.settings import MAX_EPISODE_STEPS, ActionMasks
from surefoot.core.data.normalization import Normalizer
from surefoot.core.networks import Policy
from surefoot.envs.checking.check_device import check_device_env
from surefoot.envs.device.device_env import DeviceEnv, DeviceState, DeviceTransition
from surefoot.envs.host.host_env import HostEnv
from surefoot.envs.make import EnvSource, make_host
from surefoot.envs.spaces.actions import ActionMap
from surefoot.envs.spaces.observations import alike


class Actor(NamedTuple):
    """Who acts, in JAX."""

    initial: Callable[[int], Any]
    """The memory of so many environments at the start of an episode; `None` without one."""
    act: Callable[[Any, Any, Any, PRNGKeyArray], tuple[Any, Any]]
    """(environment actions [N, …], memory afterwards) for encoded observations [N, obs], which of
    them are the first of an episode [N], the memory before, and a key."""

    @classmethod
    def of(
        cls,
        policy: Policy,
        normalizer: Normalizer,
        to_env: ActionMap,
        *,
        deterministic: bool,
        acting: Callable[..., Any] | None = None,
    ) -> Actor:
        """A policy; `acting` is `act`, compiled or not."""
        parts = policy, normalizer, to_env
        chosen = act if acting is None else acting

        def one(obs: Any, starts: Any, memory: Any, key: PRNGKeyArray) -> tuple[Any, Any]:
            action, memory = chosen(*parts, obs, starts, memory, key, deterministic=deterministic)
            return action, memory

        return cls(policy.initial, one)


def act(
    policy: Policy,
    normalizer: Normalizer,
    to_env: ActionMap,
    obs: Any,
    starts: Any,
    memory: Any,
    key: PRNGKeyArray,
    *,
    deterministic: bool,
) -> tuple[Any, Any]:
    """(environment actions for a batch of encoded observations, the mode or a sample; the policy's
    memory afterwards)."""
    dist, memory = policy.step(normalizer(obs), starts, memory)
    return to_env(dist.mode() if deterministic else dist.sample(key)), memory


def as_actions(space: spaces.Space, drawn: Any, xp: Any = np) -> Any:
    """Actions [N, …] as the environment takes them, in the types of its action space; `xp` is numpy
    or jax.numpy."""
    match space:
        case spaces.Dict():
            return {key: as_actions(part, drawn[key], xp) for key, part in space.items()}
        case spaces.Tuple():
            pairs = zip(space, drawn, strict=True)
            return tuple(as_actions(part, action, xp) for part, action in pairs)
        case _:
            return xp.asarray(drawn).astype(space.dtype)


class HostStep(NamedTuple):
    """What one step of `N` environments on the host was."""

    obs: Any
    """Encoded observation that the action answers to, leaves [N, …]."""
    action: Any
    """What the environments received, leaves [N, …] in the action space's dtypes."""
    reward: Float[np.ndarray, " N"]
    terminated: Bool[np.ndarray, " N"]
    truncated: Bool[np.ndarray, " N"]
    counts: Bool[np.ndarray, " N"]
    """Whether the row is a transition of an episode that was asked for."""


def play_on_host(
    actor: Actor, env: HostEnv, *, episodes: int, seed: int, max_steps: int = MAX_EPISODE_STEPS
) -> Iterator[HostStep]:
    """Steps until `episodes` episodes, shared among the sub-environments, have ended. Raises
    `UsageError` where one has not after `max_steps` steps: an environment that `opened` made ends
    it, and a vector environment that was handed in does not."""
    n, root = env.num_envs, jax.random.key(seed)
    share = np.array([(episodes + i) // n for i in range(n)])
    played, length = np.zeros(n, int), np.zeros(n, int)
    obs, t = env.reset(seed), 0
    starts, memory = np.ones(n, bool), actor.initial(n)
    while (played < share).any():
        # A vector environment may write its next observations where these lie.
        obs = jax.tree.map(np.copy, obs)
        drawn, memory = actor.act(obs, starts, memory, jax.random.fold_in(root, t))
        action = as_actions(env.action_space, drawn)
        # A copy, since an environment may write to what it is given.
        step = env.step(jax.tree.map(np.copy, action))
        counts = step.valid & (played < share)
        yield HostStep(obs, action, step.reward, step.terminated, step.truncated, counts)
        ended = counts & (step.terminated | step.truncated)
        starts = step.terminated | step.truncated | ~step.valid
        if step.life_lost is not None:
            # A policy with a memory begins afresh there, as it did when it learned.
            starts |= step.life_lost
        played += ended
        length = np.where(ended, 0, length + counts)
        if (length >= max_steps).any():
            raise UsageError(
                f"an episode of {env.name} has not ended after {max_steps:,} steps; accepted are "
                "vector environments with a time limit: wrap their copies in "
                "gymnasium.wrappers.TimeLimit, or raise max_episode_steps"
            )
        obs, t = step.obs, t + 1


def play_on_device(
    actor: Actor,
    env: DeviceEnv,
    select: Callable[[DeviceState, Any, DeviceTransition], Any],
    *,
    episodes: int,
    seed: int,
) -> tuple[Bool[np.ndarray, "T N"], Any]:
    """Play one episode in each of `N` = `episodes` copies, all in one compiled program of
    `T` = time limit steps.

    Returns which rows belong to the episodes, and what `select` chose of every step's state before,
    action and transition, leaves [T, N, …]. Raises `UsageError` if there is no time limit.
    """
    check_time_limit(env)

    @jax.jit
    def play(key: PRNGKeyArray) -> Any:
        return device_episodes(actor, env, select, key, episodes=episodes)

    counts, kept = jax.tree.map(np.asarray, play(jax.random.key(seed)))
    return counts, kept


def check_time_limit(env: DeviceEnv) -> None:
    """Raise `UsageError` where whole episodes may never end."""
    if env.time_limit is None:
        raise UsageError(
            f"{env.name}: playing whole episodes on the device needs a time limit: "
            "pass time_limit=STEPS"
        )


def device_episodes(
    actor: Actor,
    env: DeviceEnv,
    select: Callable[[DeviceState, Any, DeviceTransition], Any],
    key: PRNGKeyArray,
    *,
    episodes: int,
) -> tuple[Bool[Array, "T N"], Any]:
    """What `play_on_device` compiles, to be traced; of an environment with a time limit."""

    def step(carry: tuple[DeviceState, Any], key: PRNGKeyArray) -> tuple[Any, Any]:
        state, memory = carry
        act_key, env_key = jax.random.split(key)
        action, memory = actor.act(state.obs, state.age == 0, memory, act_key)
        next_state, row = env.step(state, action, env_key)
        return (next_state, memory), (row.terminated | row.truncated, select(state, action, row))

    assert env.time_limit is not None
    start, steps = jax.random.split(key)
    keys = jax.random.split(steps, env.time_limit)
    begun = env.init(start, episodes), actor.initial(episodes)
    done, kept = jax.lax.scan(step, begun, keys)[1]
    ended = jnp.cumsum(done, axis=0)
    ended_before = ended - done.astype(ended.dtype)
    return ended_before == 0, kept


_TRAINED = "which the agent was trained on"


@contextlib.contextmanager
def opened(
    source: EnvSource | DeviceEnv,
    observation_space: spaces.Space,
    action_space: spaces.Space,
    *,
    episodes: int,
    max_steps: int | None,
    offset: np.ndarray | None = None,
    masks: ActionMasks = "none",
) -> Iterator[HostEnv | DeviceEnv]:
    """What `episodes` episodes are played on, for an agent that knows these spaces and, on the
    host, observations less this offset. Environments are made anew and closed, and their episodes
    are truncated after `max_steps` steps; a vector environment is used and left open. Raises
    `UsageError` if the spaces are others."""
    if isinstance(source, DeviceEnv):
        check_spaces(source, observation_space, action_space, _TRAINED)
        check_device_env(source)
        yield source
        return
    given = isinstance(source, VectorEnv)
    copies = source.num_envs if isinstance(source, VectorEnv) else min(episodes, 16)
    host = make_host(source, copies, max_steps=max_steps, masks=masks)
    host.offset = offset
    try:
        check_spaces(host, observation_space, action_space, _TRAINED)
        yield host
    finally:
        if not given:
            host.close()


def check_spaces(
    env: HostEnv | DeviceEnv,
    observation_space: spaces.Space,
    action_space: spaces.Space,
    origin: str,
) -> None:
    """Raise `UsageError` where the environment's spaces are not those of the `origin`, which is
    told in words; bounds of observations play no part."""
    pairs = (
        ("observation", env.observation_space, observation_space, alike),
        ("action", env.action_space, action_space, operator.eq),
    )
    for what, theirs, ours, fits in pairs:
        if not fits(theirs, ours):
            # The text of a large box has line breaks.
            has, wanted = (" ".join(str(space).split()) for space in (theirs, ours))
            raise UsageError(
                f"{env.name} has the {what} space {has}; accepted is one like {wanted}, {origin}"
            )

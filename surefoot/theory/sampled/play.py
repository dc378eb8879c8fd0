"""Whole episodes of an agent, from their start states, with the raw actions and the distributions
that they were drawn from: what `estimate` estimates from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import numpy as np
from gymnasium import spaces
from jaxtyping import PRNGKeyArray

from surefoot.agents.agent import Agent
from surefoot.agents.playing.policy_spec import EnvLike
from surefoot.common.errors import UsageError, in_short
from surefoot.common.parameters import check_integer, check_seed
from surefoot.core.data.types import Acting, Trajectory
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.host.host_env import HostEnv
from surefoot.envs.spaces.actions import ActionMap
from surefoot.envs.spaces.space_json import space_to_json
from surefoot.training.rollout import (
    DeviceStanding,
    HostRollout,
    Transitions,
    device_rollout,
    with_old,
)

#: Rows that are collected at a time, until all episodes have ended.
CHUNK = 128


def play(
    agent: Agent,
    env: EnvLike | None = None,
    *,
    episodes: int = 100,
    seed: int = 1,
    horizon: int = 1000,
) -> Trajectory:
    """Episodes of the agent, which samples its actions, on what it was trained on or on `env`.

    Column i of the trajectory is one episode from its start state on; rows after its end are not
    valid. An episode that has not ended after `horizon` steps is cut there, which counts as a
    truncation. On the device every copy plays one episode. On the host, up to 16 environments (or
    as many as a vector environment has) play one each, until there are enough; so no episode is
    chosen for its length.

    Raises `UsageError` where `episodes` or `horizon` is less than 1, and as `Agent.evaluate` does.
    """
    if not isinstance(agent, Agent):
        raise UsageError(f"agent is {in_short(agent)}; accepted is an Agent: sf.load(path)")
    horizon = check_integer("horizon", horizon, 1)
    episodes, seed = check_integer("episodes", episodes, 1), check_seed(seed)
    to_env = agent.spec.to_environment()
    key = jax.random.key(seed)
    with agent.opened(env, episodes) as where:
        if isinstance(where, DeviceEnv):
            rounds = [_on_device(agent, where, to_env, episodes, horizon, key)]
        else:
            rounds = _on_host(agent, where, to_env, episodes, horizon, key, seed)
    length = max(len(one.reward) for one in rounds)
    padded = [
        jax.tree.map(lambda x: np.pad(x, [(0, length - len(x)), *[(0, 0)] * (x.ndim - 1)]), one)
        for one in rounds
    ]
    whole = jax.tree.map(lambda *x: np.concatenate(x, axis=1)[:, :episodes], *padded)
    made: Trajectory = eqx.filter_jit(with_old)(whole, agent.policy, agent.normalizer)
    return made._replace(acting=acting(agent))


def acting(agent: Agent) -> Acting:
    """What the agent's actions mean."""
    space = json.dumps(space_to_json(agent.action_space), sort_keys=True)
    bounded = isinstance(agent.action_space, spaces.Box)
    map_name = f"{agent.spec.action_map}, {agent.spec.action_distribution}"
    return Acting(space, map_name if bounded else "none")


def _on_device(
    agent: Agent, env: DeviceEnv, to_env: ActionMap, episodes: int, horizon: int, key: PRNGKeyArray
) -> Transitions:
    rows = min(CHUNK, horizon, env.time_limit or horizon)
    start_key, key = jax.random.split(key)

    @eqx.filter_jit
    def collect(standing: DeviceStanding, key: PRNGKeyArray) -> Any:
        standing, trajectory, _ = device_rollout(
            env, rows, to_env, standing, agent.policy, agent.normalizer, key
        )
        return standing, Transitions(*(getattr(trajectory, name) for name in Transitions._fields))

    def chunks() -> Iterator[Transitions]:
        standing = DeviceStanding(env.init(start_key, episodes), agent.policy.initial(episodes))
        for number in range(-(-horizon // rows)):
            standing, chunk = collect(standing, jax.random.fold_in(key, number))
            yield jax.tree.map(np.asarray, chunk)

    return _first_episodes(chunks(), horizon)


def _on_host(
    agent: Agent,
    env: HostEnv,
    to_env: ActionMap,
    episodes: int,
    horizon: int,
    key: PRNGKeyArray,
    seed: int,
) -> list[Transitions]:
    rows = min(CHUNK, horizon)
    rollout = HostRollout([env], rows, to_env)
    parts = agent.policy, agent.normalizer

    def chunks(turn: int) -> Iterator[Transitions]:
        # Of later turns the generators go on: the same seed would be the same start states.
        states = rollout.init(seed if turn == 0 else None, agent.policy.initial)
        if turn == 0:
            rollout.compile(states, *parts, key)
        for number in range(-(-horizon // rows)):
            act_key = jax.random.fold_in(jax.random.fold_in(key, turn), number)
            states, transitions, _ = rollout(states, *parts, act_key)
            yield transitions

    turns = -(-episodes // env.num_envs)
    return [_first_episodes(chunks(turn), horizon) for turn in range(turns)]


def _first_episodes(chunks: Iterator[Transitions], horizon: int) -> Transitions:
    """Rows until every column's first episode has ended or is cut, with `valid` for these only."""
    collected: list[Transitions] = []
    ended: Any = False
    for chunk in chunks:
        collected.append(chunk)
        ended = ended | ((chunk.terminated | chunk.truncated) & chunk.valid).any(axis=0)
        if ended.all():
            break
    memory = collected[0].memory
    collected = [chunk._replace(memory=None) for chunk in collected]
    rows = jax.tree.map(lambda *x: np.concatenate(x)[:horizon].copy(), *collected)
    done = (rows.terminated | rows.truncated) & rows.valid
    valid = rows.valid & (np.cumsum(done, axis=0) - done == 0)
    if len(valid) == horizon:
        rows.truncated[-1] |= valid[-1]
    rows = rows._replace(valid=valid)
    length = int(valid.sum(axis=0).max())
    return jax.tree.map(lambda x: x[:length], rows)._replace(memory=memory)

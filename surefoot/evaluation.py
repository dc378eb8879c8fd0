"""How good a policy is: undiscounted returns of whole episodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from surefoot.envs.device import DeviceEnv
from surefoot.envs.host import HostEnv
from surefoot.episodes import Actor, HostStep, play_on_device, play_on_host


class Evaluation(NamedTuple):
    """Returns and lengths of evaluated episodes."""

    returns: Float[np.ndarray, " episodes"]
    """Sum of raw rewards of each episode."""
    lengths: Int[np.ndarray, " episodes"]
    """Steps of each episode."""

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(self.returns.mean())

    @property
    def std(self) -> float:
        """Standard deviation of the returns over episodes (not of their mean)."""
        return float(self.returns.std())


def evaluate(
    actor: Actor,
    env: HostEnv | DeviceEnv,
    *,
    episodes: int,
    seed: int,
    watch: Callable[[HostStep], None] = lambda step: None,
) -> Evaluation:
    """Play `episodes` episodes: on the host in the order in which they end, on the device one in
    each copy. `watch` sees every step on the host."""
    if isinstance(env, DeviceEnv):
        counts, (returns, lengths) = play_on_device(
            actor,
            env,
            lambda state, action, row: (row.episode_return, row.episode_length),
            episodes=episodes,
            seed=seed,
        )
        last = counts.sum(axis=0) - 1, np.arange(episodes)
        return Evaluation(returns[last].astype(float), lengths[last].astype(int))

    total, length = np.zeros(env.num_envs), np.zeros(env.num_envs, int)
    ended: list[tuple[float, int]] = []
    for step in play_on_host(actor, env, episodes=episodes, seed=seed):
        watch(step)
        total += np.where(step.counts, step.reward, 0.0)
        length += step.counts
        for i in np.flatnonzero((step.terminated | step.truncated) & step.counts):
            ended.append((float(total[i]), int(length[i])))
            total[i], length[i] = 0.0, 0
    played = np.array(ended)
    return Evaluation(played[:, 0], played[:, 1].astype(int))

"""How good a policy is: undiscounted returns of whole episodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from surefoot.agents.playing.episodes import (
    Actor,
    HostStep,
    play_on_device,
    play_on_host,
)
from surefoot.common.settings import MAX_EPISODE_STEPS
from surefoot.envs.device.device_env import DeviceEnv, DeviceState, DeviceTransition
from surefoot.envs.host.host_env import HostEnv


class Evaluation(NamedTuple):
    """Returns and lengths of evaluated episodes."""

    returns: Float[np.ndarray, " episodes"]
    """Sum of raw rewards of each episode."""
    lengths: Int[np.ndarray, " episodes"]
    """Steps of each episode."""
    cut: int = 0
    """Episodes that had not ended after as many steps as they might have."""

    def __str__(self) -> str:
        if not len(self.returns):
            return "0 episodes"
        count = len(self.returns)
        return (
            f"{count:,} episode{'s'[: count != 1]}: return {self.mean:.1f} ± {self.std:.1f} "
            f"(standard deviation over episodes), {self.returns.min():.1f} to "
            f"{self.returns.max():.1f}; length {self.lengths.mean():.1f}"
        )

    def __repr__(self) -> str:
        return f"<Evaluation: {self}>"

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(self.returns.mean())

    @property
    def std(self) -> float:
        """Standard deviation of the returns over episodes (not of their mean)."""
        return float(self.returns.std())


def kept_on_device(state: DeviceState, action: Any, row: DeviceTransition) -> Any:
    """Selects the fields of a device step that `of_rows` needs."""
    return row.episode_return, row.episode_length


def of_rows(counts: Bool[np.ndarray, "T N"], kept: Any) -> Evaluation:
    """The evaluation of episodes on the device, one in each copy, from what was kept of them."""
    returns, lengths = kept
    last = counts.sum(axis=0) - 1, np.arange(counts.shape[1])
    return Evaluation(returns[last].astype(float), lengths[last].astype(int))


def evaluate(
    actor: Actor,
    env: HostEnv | DeviceEnv,
    *,
    episodes: int,
    seed: int,
    max_steps: int = MAX_EPISODE_STEPS,
    watch: Callable[[HostStep], None] = lambda step: None,
) -> Evaluation:
    """Play `episodes` episodes: on the host in the order in which they end, of at most `max_steps`
    steps, on the device one in each copy. `watch` sees every step on the host."""
    if isinstance(env, DeviceEnv):
        played = play_on_device(actor, env, kept_on_device, episodes=episodes, seed=seed)
        return of_rows(*played)

    total, length = np.zeros(env.num_envs), np.zeros(env.num_envs, int)
    ended: list[tuple[float, int]] = []
    cut = 0
    for step in play_on_host(actor, env, episodes=episodes, seed=seed, max_steps=max_steps):
        watch(step)
        total += np.where(step.counts, step.reward, 0.0)
        length += step.counts
        for i in np.flatnonzero((step.terminated | step.truncated) & step.counts):
            ended.append((float(total[i]), int(length[i])))
            cut += int(step.truncated[i]) if length[i] == max_steps else 0
            total[i], length[i] = 0.0, 0
    numbers = np.array(ended)
    return Evaluation(numbers[:, 0], numbers[:, 1].astype(int), cut)


def cut_episodes(cut: int, episodes: int, max_steps: int) -> str:
    """What is said of episodes that were cut."""
    return (
        f"{cut} of {episodes} episodes had not ended after {max_steps:,} steps and were cut there: "
        "--max-episode-steps, or max_episode_steps= in Python, allows more"
    )

"""Gymnasium environments stepped one after another in this process.

An episode's end resets its environment in the same step (SAME_STEP). Of the infos only the true
last observation is kept: gathering the rest costs more than some environments' steps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector.utils import concatenate, create_empty_array

from surefoot.envs.checking.first_steps import make_checked
from surefoot.envs.host.atari import game_of
from surefoot.envs.host.episode_history import EpisodeHistoryWrapper, History
from surefoot.envs.host.stepper import Resimulated, Stepped, one_by_one


class Serial:
    """Steps when the result is fetched."""

    def __init__(
        self,
        makers: Sequence[Callable[[], gymnasium.Env]],
        *,
        max_steps: int | None = None,
        stagger: bool = False,
    ) -> None:
        self.envs = [
            EpisodeHistoryWrapper(make_checked(make), max_steps=max_steps, stagger=stagger)
            for make in makers
        ]
        self.observation_space = self.envs[0].observation_space
        self.action_space = self.envs[0].action_space
        self._action: Any = None
        game = game_of(self.envs[0])
        self._lives = game is not None and game.lives_end

    def reset(self, seed: int | None) -> Any:
        starts = [
            env.reset(seed=None if seed is None else seed + i)[0] for i, env in enumerate(self.envs)
        ]
        return self._together(starts)

    def send(self, action: Any) -> None:
        self._action = one_by_one(action, len(self.envs))

    def recv(self) -> Stepped:
        n = len(self.envs)
        reward, final = np.empty(n), np.empty(n, object)
        terminated, truncated, staggered = (np.empty(n, bool) for _ in range(3))
        lost = np.empty(n, bool) if self._lives else None
        seen, cost = [], []
        for i, env in enumerate(self.envs):
            obs, reward[i], terminated[i], truncated[i], _ = env.step(self._action[i])
            staggered[i] = env.staggered
            cost.append(env.cost)
            if lost is not None:
                lost[i] = env.life_lost
            if terminated[i] or truncated[i]:
                # A reset may overwrite it in place.
                final[i] = copy.deepcopy(obs)
                obs, _ = env.reset()
            seen.append(obs)
        info = {"final_obs": final}
        obs = self._together(seen)
        ends = terminated, truncated
        return Stepped(obs, reward, *ends, info, staggered=staggered, life_lost=lost, cost=cost)

    def mark(self) -> Callable[[], list[History]]:
        marks = [env.mark() for env in self.envs]
        return lambda: [history() for history in marks]

    def resimulate(self, histories: Sequence[History]) -> Resimulated:
        played = [
            env.resimulate(history) for env, history in zip(self.envs, histories, strict=True)
        ]
        obs, earned, same = zip(*played, strict=True)
        return Resimulated(self._together(list(obs)), np.array(earned), np.array(same))

    def close(self) -> None:
        for env in self.envs:
            env.close()

    def _together(self, observations: list[Any]) -> Any:
        # A new array each time: what was returned before stays as it is.
        out: Any = create_empty_array(self.observation_space, len(observations), fn=np.empty)
        return concatenate(self.observation_space, observations, out)

"""Do Stable-Baselines3's own evaluations play agents with a memory and with masks?

    .venv-peers/bin/python -m benchmarks.policies.clients

Runs where Stable-Baselines3, sb3-contrib and surefoot are installed together. `evaluate_policy`
plays a recurrent agent, and sb3-contrib's maskable one a masked agent, in environments that assert
that no masked action comes. The returns of all episodes must be those of a loop by hand over
`predict` on the same seeds; the exit code is 1 where they are not.
"""

from __future__ import annotations

import sys
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from sb3_contrib.common.maskable.evaluation import evaluate_policy as evaluate_masked
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv

import surefoot as sf
from benchmarks.policies.cases import PositionsAlone

EPISODES, SEED = 20, 5


class Choices(gymnasium.Env):
    """Three of five actions are valid, others at each step, and the first of them is right."""

    observation_space = spaces.Box(0.0, 1.0, (5,))
    action_space = spaces.Discrete(5)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.time = 0
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        assert self.valid[action], "a masked action was taken"
        self.time += 1
        reward = float(action == np.argmax(self.valid))
        return self._seen(), reward, self.time == 9, False, {}

    def action_masks(self) -> np.ndarray:
        """Which actions are valid."""
        return self.valid

    def _seen(self) -> np.ndarray:
        self.valid = self.np_random.permutation(5) < 3
        return self.valid.astype(np.float32)


def by_hand(agent: sf.Agent, make: Any, *, masked: bool) -> list[float]:
    """Returns of the episodes, of one environment in a row."""
    env = make()
    obs, _ = env.reset(seed=SEED)
    state, start, returns, total = None, np.ones(1, bool), [], 0.0
    while len(returns) < EPISODES:
        masks = {"action_masks": env.action_masks()} if masked else {}
        action, state = agent.predict(obs, state, start, **masks)
        obs, reward, terminated, truncated, _ = env.step(action)
        total += float(reward)
        start = np.array([terminated or truncated])
        if start[0]:
            returns.append(total)
            total = 0.0
            obs, _ = env.reset()
    return returns


def by_sb3(evaluate: Any, agent: sf.Agent, make: Any) -> list[float]:
    """The same, as Stable-Baselines3 plays them."""
    env = DummyVecEnv([make])
    env.seed(SEED)
    returns, _ = evaluate(
        agent, env, n_eval_episodes=EPISODES, return_episode_rewards=True, warn=False
    )
    return [float(x) for x in returns]


def main() -> int:
    """Train, play, compare; the exit code."""
    options: dict[str, Any] = {"seed": 0, "progress": False, "hidden": (32,)}
    recurrent = sf.train("ppo_clip", PositionsAlone, network="gru", steps=40_960, **options)
    masked = sf.train("ppo_clip", Choices, steps=20_480, **options)
    good = True
    for name, evaluate, agent, make in (
        ("evaluate_policy, a recurrent agent", evaluate_policy, recurrent, PositionsAlone),
        ("sb3-contrib's, a masked agent", evaluate_masked, masked, Choices),
    ):
        theirs, ours = (
            by_sb3(evaluate, agent, make),
            by_hand(agent, make, masked=make is Choices),
        )
        good &= theirs == ours
        print(
            f"{name}: mean return {np.mean(theirs):.1f} in {len(theirs)} episodes, "
            f"{'those' if theirs == ours else 'NOT those'} of a loop by hand"
        )
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())

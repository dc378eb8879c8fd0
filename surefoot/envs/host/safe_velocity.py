"""Gymnasium's MuJoCo tasks with a cost on speed: `surefoot/SafeHalfCheetahVelocity-v0` and others.

A step costs 1 where the robot is faster than a threshold, and 0 elsewhere; `info["cost"]` says so.
Rewards are the task's own. Thresholds are those of safety-gymnasium's Safe…Velocity-v1 (Ji et al.
2023), half the speed that PPO reaches there in 10,000,000 steps; its physics are those of the v4
tasks and these of v5, so that the two are alike and not the same.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium

#: Task: (threshold, whether the speed is that in the plane, or else the one along x).
THRESHOLDS = {
    "HalfCheetah": (3.2096, False),
    "Hopper": (0.7402, False),
    "Walker2d": (2.3415, False),
    "Swimmer": (0.2282, False),
    "Ant": (2.6222, True),
    "Humanoid": (1.4149, True),
}


class SafeVelocity(gymnasium.Wrapper):
    """A task whose steps cost 1 where it is faster than `threshold`."""

    def __init__(self, env: gymnasium.Env, threshold: float, *, planar: bool) -> None:
        super().__init__(env)
        self.threshold, self._planar = threshold, planar

    def step(self, action: Any) -> Any:
        obs, reward, terminated, truncated, info = self.env.step(action)
        speed = info["x_velocity"]
        if self._planar:
            speed = math.hypot(speed, info["y_velocity"])
        cost = float(speed > self.threshold)
        return obs, reward, terminated, truncated, info | {"cost": cost}


def make(task: str, **options: Any) -> gymnasium.Env:
    """The task with its cost, without a time limit."""
    threshold, planar = THRESHOLDS[task]
    inner = gymnasium.make(f"{task}-v5", **options).unwrapped
    return SafeVelocity(inner, threshold, planar=planar)


def register() -> None:
    """Make the tasks known to Gymnasium."""
    for task in THRESHOLDS:
        env_id = f"surefoot/Safe{task}Velocity-v0"
        if env_id not in gymnasium.registry:
            gymnasium.register(
                env_id,
                entry_point="surefoot.envs.host.safe_velocity:make",
                max_episode_steps=1000,
                kwargs={"task": task},
            )

"""What is trained, and what of it is held against what."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import gymnasium
from gymnasium import spaces

import surefoot as sf
from benchmarks.policies import tasks

#: Steps for which a masked policy's are to be a tenth.
WITHOUT_MASK = 1_000_000


class PositionsAlone(gymnasium.ObservationWrapper):
    """Gymnasium's CartPole without its velocities, on the host."""

    def __init__(self) -> None:
        super().__init__(gymnasium.make("CartPole-v1"))
        self.observation_space = spaces.Box(-float("inf"), float("inf"), (2,))

    def observation(self, observation: Any) -> Any:
        return observation[[0, 2]]


def _device(task: Any, limit: int) -> Callable[[], Any]:
    return lambda: sf.DeviceEnv(task, time_limit=limit, name=type(task).__name__)


@dataclasses.dataclass(frozen=True)
class Task:
    """A task, and what the best policy earns in an episode."""

    make: Callable[[], Any]
    """The environment."""
    optimum: float
    steps: int


_VISIT = tasks.VISITS + 2
TASKS = {
    "cue": Task(_device(tasks.Cue(), tasks.DELAY + 2), 1.0, 400_000),
    "hidden velocities": Task(_device(tasks.HiddenVelocities(), 500), 500.0, 300_000),
    "hidden velocities, host": Task(lambda: PositionsAlone, 500.0, 300_000),
    "doors, masked": Task(_device(tasks.Doors(), _VISIT), 10.0, WITHOUT_MASK // 10),
    "doors, a penalty": Task(_device(tasks.Doors(masked=False), _VISIT), 10.0, WITHOUT_MASK),
    "doors, masked and cued": Task(_device(tasks.Doors(cued=True), _VISIT), 10.0, 400_000),
    "dosage": Task(_device(tasks.Dosage(), 12), 10.0, 200_000),
    "squares, host": Task(lambda: tasks.Squares, 10.0, 50_000),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A run."""

    task: str
    method: str
    network: str
    seed: int
    at_once: int = 1
    """So many seeds, from this one on, in one program."""

    @property
    def name(self) -> str:
        """That of its file."""
        seeds = f"{self.seed}" if self.at_once == 1 else f"{self.seed}-to-{self.seeds[-1]}"
        task = self.task.replace(", ", "-").replace(" ", "-")
        return "-".join([task, self.method, self.network, seeds])

    @property
    def seeds(self) -> list[int]:
        """All of them."""
        return list(range(self.seed, self.seed + self.at_once))


def _cases() -> list[Case]:
    both, memory = ("trpo", "ppo_clip"), ("trpo", "npg", "a2c", "ppo_clip")
    return [
        *(Case("cue", method, "gru", 0) for method in memory),
        *(Case("cue", method, "mlp", 0) for method in both),
        *(Case("hidden velocities", m, "gru", seed) for m in both for seed in range(3)),
        *(Case("hidden velocities", method, "mlp", 0) for method in both),
        *(Case("hidden velocities", method, "gru", 0, at_once=4) for method in both),
        *(Case("hidden velocities, host", method, "gru", 0) for method in both),
        *(Case("doors, masked", method, "mlp", 0) for method in both),
        *(Case("doors, masked and cued", method, "gru", 0) for method in both),
        *(Case("dosage", method, "mlp", 0) for method in both),
        *(Case("squares, host", method, "cnn", 0) for method in both),
        *(Case("doors, a penalty", method, "mlp", 0) for method in both),
    ]


CASES = _cases()

"""Whether the unit of rewards and the unit and origin of observations decide what is learned.

    python -m benchmarks.units [--seeds 5] [--steps 40960] [--recipe trpo]

CartPole-v1 with its rewards times a factor, or its observations times a factor plus an offset, in
float64. For each case: mean length of the episodes that ended in the last quarter of the steps,
over seeds, with the least and the greatest seed's, and the largest difference of a seed's learning
curve (mean lengths by tenths of the run) from that of the same seed in plain CartPole, as a share
of the spread of plain CartPole's seeds. Ends with 1 where a case's mean lies outside that spread.
"""

from __future__ import annotations

import argparse
import sys

import gymnasium
import numpy as np
from gymnasium import spaces

import surefoot as sf

#: (factor on rewards, factor on observations, offset of observations) by what a row is called.
CASES = {
    "CartPole-v1 in float64": (1.0, 1.0, 0.0),
    "rewards × 1e-9": (1e-9, 1.0, 0.0),
    "rewards × 1e-6": (1e-6, 1.0, 0.0),
    "rewards × 1e6": (1e6, 1.0, 0.0),
    "observations × 1e-6": (1.0, 1e-6, 0.0),
    "observations × 1e6": (1.0, 1e6, 0.0),
    "observations × 1e-6 + 1e6": (1.0, 1e-6, 1e6),
    "observations + 1e6": (1.0, 1.0, 1e6),
    "observations × 1e6 + 1e6": (1.0, 1e6, 1e6),
}


class InUnits(gymnasium.Wrapper):
    """CartPole-v1 in other units."""

    def __init__(self, reward: float, factor: float, offset: float) -> None:
        super().__init__(gymnasium.make("CartPole-v1"))
        self._reward, self._factor, self._offset = reward, factor, offset
        self.observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float64)

    def _seen(self, obs: np.ndarray) -> np.ndarray:
        return self._factor * obs.astype(np.float64) + self._offset

    def reset(self, **options):
        obs, info = self.env.reset(**options)
        return self._seen(obs), info

    def step(self, action):
        obs, reward, *rest = self.env.step(action)
        return self._seen(obs), self._reward * reward, *rest


def lengths(recipe: str, case: tuple[float, float, float], *, steps: int, seed: int) -> np.ndarray:
    """(environment steps, length) of every episode of a run."""
    ended: list[tuple[int, int]] = []

    def look(row, agent) -> None:
        ended.extend((row["steps"], length) for length in row["episode_lengths"])

    sf.train(recipe, lambda: InUnits(*case), steps=steps, seed=seed, on_iteration=look)
    return np.array(ended)


def curve(ended: np.ndarray, steps: int) -> np.ndarray:
    """Mean lengths by tenths of the run."""
    tenth = np.minimum(10 * (ended[:, 0] - 1) // steps, 9)
    return np.array(
        [ended[tenth == i, 1].mean() if (tenth == i).any() else np.nan for i in range(10)]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40_960)
    parser.add_argument("--recipe", default="trpo")
    given = parser.parse_args()
    plain: list[np.ndarray] = []
    bounds = 0.0, 0.0
    outside = []
    print("| case | mean length, last quarter | seeds | largest difference of a curve |")
    print("| --- | --- | --- | --- |")
    for name, case in CASES.items():
        runs = [
            lengths(given.recipe, case, steps=given.steps, seed=seed) for seed in range(given.seeds)
        ]
        scores = [run[run[:, 0] > 0.75 * given.steps, 1].mean() for run in runs]
        curves = [curve(run, given.steps) for run in runs]
        if not plain:
            plain, bounds = curves, (min(scores), max(scores))
        spread = np.nanmax(np.ptp(plain, axis=0))
        apart = np.nanmax(np.abs(np.array(curves) - plain)) / spread
        print(
            f"| {name} | {np.mean(scores):.0f} | {min(scores):.0f} to {max(scores):.0f} "
            f"| {apart:.2f} of the spread |",
            flush=True,
        )
        if not bounds[0] <= np.mean(scores) <= bounds[1]:
            outside.append(name)
    if outside:
        print(f"outside the spread of the seeds: {', '.join(outside)}")
    return bool(outside)


if __name__ == "__main__":
    sys.exit(main())

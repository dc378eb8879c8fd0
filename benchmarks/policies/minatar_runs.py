"""Learning MinAtar's Breakout (Young & Tian 2019) from pictures of 10 × 10: a row a run.

Each run leaves one JSON file; stopped at any moment, the same command goes on with the first that
is missing. MinAtar is installed by `pip install minatar`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.learning.rows import ROOT, Row, rounded, write
from benchmarks.learning.single import commit, summary
from surefoot.common.errors import UsageError

#: Environment steps of each method.
STEPS = {"ppo_clip": 1_000_000, "acktr": 1_000_000, "trpo": 300_000}
GAME = "MinAtar/Breakout-v1"


def path_of(results: Path, method: str, seed: int, steps: int) -> Path:
    """Where a run's row lies."""
    return results / f"{method}-MinAtar-Breakout-{steps}-{seed}.json"


def run(methods: Sequence[str], seeds: Sequence[int], results: Path, *, steps: int | None) -> int:
    """Train what is missing, one run after the other."""
    for seed in seeds:
        for method in methods:
            budget = STEPS[method] if steps is None else steps
            path = path_of(results, method, seed, budget)
            if path.exists():
                continue
            row = one(method, seed, budget)
            write(path, row)
            print(f"{path.name}: score {row['score']}, {row['seconds']:.0f} s", flush=True)
    return 0


def one(method: str, seed: int, steps: int) -> Row:
    """Train, and say how it went."""
    import gymnasium

    from surefoot.runs.options import prepare

    try:
        import minatar.gym
    except ImportError:
        raise UsageError(f"{GAME} needs the package 'minatar': pip install minatar") from None
    if GAME not in gymnasium.registry:
        minatar.gym.register_envs()
    options: dict[str, Any] = {"steps": steps, "seed": seed, "network": "cnn"}
    trained = prepare(method, functools.partial(gymnasium.make, GAME), options)
    ended: list[tuple[int, float]] = []
    seconds, taken = 0.0, trained.steps
    for iteration in trained.iterations():
        ended += [(iteration.steps, total) for total in iteration.episode_returns.tolist()]
        seconds += iteration.timing.total
        taken = iteration.steps
    config = trained.config()
    return {
        "recipe": method,
        "task": GAME,
        "seed": seed,
        "steps": taken,
        **summary(ended, taken),
        "seconds": rounded(seconds),
        "hyperparameters": config["hyperparameters"],
        "setup": config["setup"],
        "versions": {k: v for k, v in config["versions"].items() if k != "platform"},
        "commit": commit(ROOT),
    }

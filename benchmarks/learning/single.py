"""One run of the matrix, in this process: from an entry to its row."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.learning import rows
from benchmarks.learning.matrix import RANDOM_EPISODES, Entry
from surefoot.runs.score import POINTS, Returns, learning_curve, score

#: Episodes of `last_100`, which papers and earlier rows have.
WINDOW = 100
Ended = Sequence[tuple[int, float]]
"""(environment steps so far, return) of every episode, in the order in which they ended."""


def one(entry: Entry) -> rows.Row:
    """Train, or play at random, and say how it went."""
    code = commit(rows.ROOT)
    row = play_at_random(entry) if entry.recipe == rows.RANDOM else train(entry)
    return {
        "recipe": entry.recipe,
        "task": entry.task,
        "seed": entry.seed,
        "options": entry.options,
        **row,
        "commit": code,
    }


def train(entry: Entry) -> rows.Row:
    """The result of training, with the deterministic policy's 20 episodes at the end."""
    from surefoot.runs.options import prepare

    options = {"steps": entry.steps, "seed": entry.seed, **entry.options}
    run = prepare(entry.recipe, entry.task, options)
    ended: list[tuple[int, float]] = []
    seconds, steps = 0.0, run.steps
    for iteration in run.iterations():
        ended += [(iteration.steps, total) for total in iteration.episode_returns.tolist()]
        seconds += iteration.timing.total
        # Where rows are no transitions, a run ends a little before or after whole batches.
        steps = iteration.steps
    config = run.config()
    return {
        "steps": steps,
        **summary(ended, steps),
        "deterministic_20": rows.rounded(run.agent().evaluate(20, seed=1).mean),
        "seconds": rows.rounded(seconds),
        "hyperparameters": config["hyperparameters"],
        "setup": config["setup"],
        "versions": _without_platform(config["versions"]),
    }


def play_at_random(entry: Entry) -> rows.Row:
    """The result of uniformly random actions, for 100 episodes."""
    import gymnasium
    import numpy as np

    from surefoot.envs.env_ids import check_env_id
    from surefoot.runs.run import versions

    begin = time.perf_counter()
    env = gymnasium.make(check_env_id(entry.task))
    # Two streams: of one seed, the first states and the actions would be functions of each other.
    env_seed, action_seed = np.random.SeedSequence(entry.seed).generate_state(2) >> 1
    env.reset(seed=int(env_seed))
    env.action_space.seed(int(action_seed))
    ended: list[tuple[int, float]] = []
    steps, total = 0, 0.0
    while len(ended) < RANDOM_EPISODES:
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        steps, total = steps + 1, total + float(reward)
        if terminated or truncated:
            ended.append((steps, total))
            total = 0.0
            env.reset()
    env.close()
    return {
        "steps": steps,
        **summary(ended, steps),
        "deterministic_20": None,
        "seconds": rows.rounded(time.perf_counter() - begin),
        "hyperparameters": {"episodes": RANDOM_EPISODES},
        "setup": {"seed": entry.seed},
        "versions": _without_platform(versions()),
    }


def summary(ended: Ended, steps: int) -> rows.Row:
    """The score (`surefoot.runs.score`), the mean return of the last 100 episodes, the number of
    episodes, and the learning curve: [steps, mean return of the episodes that ended since the point
    before], a point for every fiftieth of the run in which an episode ended; `None` where none of
    its returns is finite."""
    episodes = Returns.of([when for when, _ in ended], [total for _, total in ended])
    _, means = learning_curve(steps, episodes)
    there = sorted({-(-when * POINTS // steps) for when, _ in ended})
    return {
        "score": rows.rounded(score(steps, episodes).value),
        "last_100": _mean([total for _, total in ended[-WINDOW:]]),
        "episodes": len(ended),
        "curve": [[k * steps // POINTS, rows.rounded(float(means[k - 1]))] for k in there],
    }


def commit(folder: Path) -> str | None:
    """The commit that is checked out in the folder, marked "-dirty" if its code differs from the
    commit's; `None` if the folder is no checkout."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != folder.resolve():
            return None
        code = ("surefoot", ":(glob)benchmarks/**/*.py")
        dirty = "-dirty" if git("status", "--porcelain", "--", *code) else ""
        return git("rev-parse", "HEAD") + dirty
    except (OSError, subprocess.CalledProcessError):
        return None


def _mean(returns: list[float]) -> float | None:
    return rows.rounded(sum(returns) / len(returns)) if returns else None


def _without_platform(versions: dict[str, str]) -> dict[str, str]:
    return {name: version for name, version in versions.items() if name != "platform"}

"""What a report of many runs costs: seconds, size of the page and peak memory.

    python -m benchmarks.reporting [--runs 500] [--iterations 1000] [--folder FOLDER]

writes synthetic runs of several methods and tasks, with rows like those that training writes, into
FOLDER (a temporary one if none is given), and then their report, in a process of its own. The bars
are 20 seconds and 15 MB for 500 runs of 1,000 iterations.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

METHODS = ("trpo", "ppo_clip", "npg", "acktr", "ppo_kl")
TASKS = ("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5", "Swimmer-v5")
ROWS = 2048
NAMES = (
    "objective_before",
    "objective_after",
    "predicted_improvement",
    "kl_mean",
    "kl_max",
    "entropy",
    "grad_norm",
    "relative_residual",
    "step_scale",
    "d_fisher_d",
    "beta",
    "explained_variance",
    "value_mean",
    "reward_scale",
    "effective_sample_size",
    "critic_objective_before",
    "critic_objective_after",
    "critic_predicted_improvement",
    "critic_kl_mean",
    "critic_kl_max",
    "critic_entropy",
    "critic_grad_norm",
)


def write_runs(folder, runs, iterations):
    """Folders of runs below `folder`, the seeds of a method on a task side by side."""
    for number in range(runs):
        method = METHODS[number % len(METHODS)]
        task = TASKS[number // len(METHODS) % len(TASKS)]
        seed = number // (len(METHODS) * len(TASKS))
        write_run(folder / f"{method}-{task}" / f"seed-{seed}", method, task, seed, iterations)


def write_run(folder, method, task, seed, iterations, per_iteration=4):
    """A run whose return rises, of the format that training writes."""
    folder.mkdir(parents=True)
    config = {
        "algorithm": method,
        "environment": task,
        "environment_id": task,
        "hyperparameters": {"num_envs": 8, "horizon": 256, "max_kl": 0.01},
        "setup": {"steps": ROWS * iterations, "seed": seed},
        "steps": ROWS * iterations,
        "versions": {"surefoot": "synthetic"},
        "command": ["surefoot", "train", method, task, "--seed", str(seed)],
    }
    (folder / "config.json").write_text(json.dumps(config))
    rng = np.random.default_rng([seed, len(method), sum(map(ord, task))])
    numbers = rng.lognormal(-4.6, 0.3, size=(iterations, len(NAMES)))
    trend = 3000 * (1 - np.exp(-3 * np.arange(iterations) / iterations)) + 200 * rng.normal()
    returns = trend[:, None] + rng.normal(0, 150, size=(iterations, per_iteration))
    with (folder / "metrics.jsonl").open("w") as file:
        for i in range(iterations):
            row = {
                "iteration": i,
                "steps": ROWS * (i + 1),
                **dict(zip(NAMES, numbers[i].tolist(), strict=True)),
                "accepted": True,
                "backtracks": 0,
                "shrink": 1.0,
                "std": numbers[i, :6].tolist(),
                "refused": False,
                "refused_cause": 0,
                "refused_environment": -1,
                "refused_component": -1,
                "critic_refused": False,
                "episode_returns": returns[i].tolist(),
                "episode_lengths": [1000] * per_iteration,
                "env_restarts": 0,
                "timing": {
                    "total": 0.09,
                    "steps_per_s": 22755.5,
                    "compile": 0.0,
                    "environment": 0.06,
                    "act": 0.01,
                    "update": 0.02,
                    "critic": 0.05,
                    "program": None,
                },
            }
            file.write(json.dumps(row) + "\n")


def measure(folder, out):
    """Seconds, processor seconds, megabytes of the page and peak resident megabytes of a process
    that writes the report of what lies in `folder`."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "surefoot.cli", "report", str(folder), "--out", str(out)]
    child = os.spawnvp(os.P_NOWAIT, command[0], command)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit("the report failed")
    return (
        seconds,
        usage.ru_utime + usage.ru_stime,
        out.stat().st_size / 1e6,
        usage.ru_maxrss / 1024,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary) / "runs"
        if not folder.exists():
            write_runs(folder, given.runs, given.iterations)
        read = sum(path.stat().st_size for path in folder.rglob("metrics.jsonl")) / 1e6
        seconds, busy, page, memory = measure(folder, Path(temporary) / "report.html")
    print(
        f"{read:.0f} MB read in {seconds:.1f} s ({busy:.1f} s of a processor), a page of "
        f"{page:.1f} MB, peak {memory:.0f} MB"
    )


if __name__ == "__main__":
    main()

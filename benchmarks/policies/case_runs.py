"""What memories, masks and mixed actions are for: a row a run.

Every case is trained with the defaults of its method. A row has what 200 deterministic episodes
earn on average, the share of what the best policy earns, and after how many steps the episodes of
an iteration first earned 95 % of that on average in training.
"""

from __future__ import annotations

import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import surefoot as sf
from benchmarks.policies.cases import CASES, TASKS, Case

#: Share of the optimum that counts as having learned it.
LEARNED = 0.95


def measured(case: Case) -> dict[str, Any]:
    """Train it: its row."""
    task = TASKS[case.task]
    env = task.make()
    reached: list[int] = []

    def told(row: dict[str, Any], agent: sf.Agent) -> None:
        returns = row["episode_returns"]
        if not reached and len(returns) and np.mean(returns) >= LEARNED * task.optimum:
            reached.append(row["steps"])

    begin = time.perf_counter()
    agent = sf.train(
        case.method,
        env,
        network=case.network,
        steps=task.steps,
        seed=case.seed,
        progress=False,
        on_iteration=told,
    )
    seconds = time.perf_counter() - begin
    returns = agent.evaluate(200, seed=1, env=env).returns
    return {
        "task": case.task,
        "method": case.method,
        "network": case.network,
        "seed": case.seed,
        "steps": task.steps,
        "mean": float(np.mean(returns)),
        "share": float(np.mean(returns) / task.optimum),
        "steps_to_95_percent": reached[0] if reached else None,
        "seconds": round(seconds, 1),
        "versions": {name: version(name) for name in ("surefoot", "jax", "gymnasium")},
    }


def run(results: Path, only: list[str]) -> None:
    """All cases of these tasks that have no file."""
    results.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        path = results / f"{case.name}-{case.seed}.json"
        if case.task in only and not path.exists():
            row = measured(case)
            path.write_text(json.dumps(row, indent=1) + "\n")
            print(_line(row), flush=True)


def _line(row: dict[str, Any]) -> str:
    reached = row["steps_to_95_percent"]
    return (
        f"| {row['task']} | {row['method']} | {row['network']} | {row['seed']} | "
        f"{row['steps']:,} | {row['mean']:.3g} | {row['share']:.0%} | "
        f"{'–' if reached is None else f'{reached:,}'} |"
    )


def table(results: Path) -> None:
    """Print what there is."""
    print("| task | method | network | seed | steps | mean | of the optimum | steps to 95 % |")
    print("|---|---|---|---|---|---|---|---|")
    for case in CASES:
        path = results / f"{case.name}-{case.seed}.json"
        if path.exists():
            print(_line(json.loads(path.read_text())))

"""What memories, masks and mixed actions are for: a row a run.

Every case is trained with the defaults of its method. A row has what 200 deterministic episodes
earn on average, the share of what the best policy earns, and after how many steps the episodes of
an iteration first earned 95 % of that on average in training. Of several seeds at once it has the
lowest average, and the most steps.
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
    reached: dict[int, int] = {}

    def told(row: dict[str, Any], agent: sf.Agent) -> None:
        returns, seed = row["episode_returns"], agent.provenance["setup"]["seed"]
        if seed not in reached and len(returns) and np.mean(returns) >= LEARNED * task.optimum:
            reached[seed] = row["steps"]

    options: dict[str, Any] = {"network": case.network, "steps": task.steps}
    options |= {"progress": False, "on_iteration": told}
    begin = time.perf_counter()
    if case.at_once == 1:
        agents = [sf.train(case.method, env, seed=case.seed, **options)]
    else:
        agents = sf.train_seeds(case.method, env, case.seeds, **options)
    seconds = time.perf_counter() - begin
    mean = min(float(np.mean(agent.evaluate(200, seed=1, env=env).returns)) for agent in agents)
    return {
        "task": case.task,
        "method": case.method,
        "network": case.network,
        "seeds": case.seeds,
        "steps": task.steps,
        "mean": mean,
        "share": mean / task.optimum,
        "steps_to_95_percent": max(reached.values()) if len(reached) == len(agents) else None,
        "seconds": round(seconds, 1),
        "versions": {name: version(name) for name in ("surefoot", "jax", "gymnasium")},
    }


def run(results: Path, only: list[str]) -> None:
    """All cases of these tasks that have no file."""
    results.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        path = results / f"{case.name}.json"
        if case.task in only and not path.exists():
            row = measured(case)
            path.write_text(json.dumps(row, indent=1) + "\n")
            print(_line(row), flush=True)


def _line(row: dict[str, Any]) -> str:
    reached, seeds = row["steps_to_95_percent"], row["seeds"]
    which = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} – {seeds[-1]} at once"
    return (
        f"| {row['task']} | {row['method']} | {row['network']} | {which} | "
        f"{row['steps']:,} | {row['mean']:.3g} | {row['share']:.0%} | "
        f"{'–' if reached is None else f'{reached:,}'} |"
    )


def table(results: Path) -> None:
    """Print what there is."""
    print("| task | method | network | seeds | steps | mean | of the optimum | steps to 95 % |")
    print("|---|---|---|---|---|---|---|---|")
    for case in CASES:
        path = results / f"{case.name}.json"
        if path.exists():
            print(_line(json.loads(path.read_text())))

"""How much of its trust region does TRPO use, and how many evaluations does that cost?

    python -m benchmarks.learning.radius TASK … [--steps 204800] [--seed 0]

Trains `trpo` on EnvPool's environments with each rule of the line search and prints, for each task
and rule, the share of steps that were accepted, the share of those whose measured KL lies between
0.97 δ and δ, their median KL, and the mean number of evaluations of the policy beyond the first.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import surefoot as sf
from surefoot.methods.recipes.trpo import TRPO

RULES = ("secant", "decay")


def line(task: str, rule: str, *, steps: int, seed: int) -> str:
    """A run, as a line of the table."""
    kl, tries, accepted = [], [], []

    def told(row: dict[str, Any], agent: sf.Agent) -> None:
        accepted.append(row["accepted"])
        tries.append(min(row["backtracks"], TRPO.tries - 1))
        if row["accepted"]:
            kl.append(row["kl_mean"] / TRPO.max_kl)

    sf.train(
        "trpo",
        task,
        line_search=rule,
        backend="envpool",
        steps=steps,
        seed=seed,
        progress=False,
        on_iteration=told,
    )
    # In single precision a mean over a batch that is δ may be some rounding units larger.
    inside = (np.array(kl) >= 0.97) & (np.array(kl) <= 1 + 1e-6)
    columns = (
        f"{np.mean(accepted):.0%}",
        f"{inside.mean():.0%}",
        f"{np.median(kl):.4f}",
        f"{np.mean(tries):.2f}",
    )
    return " | ".join(["", task, rule, *columns, ""]).strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="+", metavar="TASK")
    parser.add_argument("--steps", type=int, default=204_800)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(
        "| task | rule | accepted | KL in 0.97 δ – δ | median KL/δ | evaluations beyond the first |"
    )
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    for task in args.tasks:
        for rule in RULES:
            print(line(task, rule, steps=args.steps, seed=args.seed), flush=True)


if __name__ == "__main__":
    main()

"""Train a matrix of recipes, tasks and seeds, and make a table of the results.

    python -m benchmarks.learning run --recipes trpo ppo_clip --tasks HalfCheetah-v5 --seeds 0 1 2
    python -m benchmarks.learning table

`run` starts one process a run, `--jobs` of them side by side, and skips what is done; it may be
stopped at any moment and started again. Each run leaves one JSON file in `--results`. Options that
`surefoot.train` takes can be added as `name=value` after `--set`; such runs are kept apart by name.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import scipy.stats

HERE = Path(__file__).parent
WINDOW = 100


def one_run(recipe: str, task: str, seed: int, steps: int, options: dict[str, Any]) -> dict:
    """Train once, in this process; the result as a row."""
    import surefoot as sf
    from surefoot.training import prepare

    run = prepare(recipe, task, {"steps": steps, "seed": seed, **options})
    returns: list[float] = []
    seconds = 0.0
    for iteration in run.iterations():
        returns.extend(iteration.episode_returns.tolist())
        seconds += iteration.timing.total
    evaluation = run.agent().evaluate(20, seed=1)
    return {
        "recipe": recipe,
        "task": task,
        "seed": seed,
        "options": options,
        "steps": run.steps,
        "last_100": float(np.mean(returns[-WINDOW:])),
        "episodes": len(returns),
        "deterministic_20": evaluation.mean,
        "seconds": seconds,
        "surefoot": sf.__version__,
        "curve": [float(np.mean(chunk)) for chunk in np.array_split(returns, 50) if len(chunk)],
    }


def run(args: argparse.Namespace) -> int:
    """Run what is missing of the matrix."""
    options = dict(pair.split("=", 1) for pair in args.set)
    label = args.label or "-".join(f"{k}={v}" for k, v in options.items()) or "defaults"
    folder = args.results / label
    folder.mkdir(parents=True, exist_ok=True)
    jobs = []
    for seed in args.seeds:
        for task in args.tasks:
            for recipe in args.recipes:
                path = folder / f"{recipe}-{task}-{args.steps}-{seed}.json"
                if not path.exists():
                    jobs.append((recipe, task, seed, path))
    # A core a run: a run that shares cores loses several times the length of every small call to
    # its way from thread to thread.
    cores: Queue[int] = Queue()
    for number in range(args.jobs):
        allowed = sorted(os.sched_getaffinity(0))
        cores.put(allowed[number % len(allowed)])

    def start(job: tuple[str, str, int, Path]) -> int:
        recipe, task, seed, path = job
        command = [sys.executable, "-m", "benchmarks.learning", "one", recipe, task, str(seed)]
        command += [str(args.steps), str(path), *args.set]
        core = cores.get()
        process = subprocess.Popen(command, cwd=HERE.parents[1])
        os.sched_setaffinity(process.pid, {core})
        code = process.wait()
        cores.put(core)
        print(
            f"{path.name}: {'done' if code == 0 else f'failed with exit code {code}'}", flush=True
        )
        return code

    with ThreadPoolExecutor(args.jobs) as pool:
        return int(any(list(pool.map(start, jobs))))


def one(args: argparse.Namespace) -> int:
    """Run one entry of the matrix and write its row, whole or not at all."""
    options = {}
    for pair in args.set:
        name, value = pair.split("=", 1)
        try:
            options[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[name] = value
    row = one_run(args.recipe, args.task, args.seed, args.steps, options)
    beside = args.path.with_suffix(".part")
    beside.write_text(json.dumps(row) + "\n")
    beside.rename(args.path)
    return 0


def interval(scores: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean over seeds by Student's t, which holds for few seeds, too."""
    if len(scores) < 2:
        return float("nan"), float("nan")
    half = scipy.stats.t.ppf(0.975, len(scores) - 1) * scores.std(ddof=1) / len(scores) ** 0.5
    return float(scores.mean() - half), float(scores.mean() + half)


def table(args: argparse.Namespace) -> int:
    """Print a Markdown table of everything in the results folder."""
    groups: dict[tuple[str, str, str, int], list[dict]] = {}
    for path in sorted(args.results.glob("*/*.json")):
        row = json.loads(path.read_text())
        key = (path.parent.name, row["recipe"], row["task"], row["steps"])
        groups.setdefault(key, []).append(row)
    print(
        "| options | recipe | task | steps | seeds | last 100 episodes: mean | 95 % interval |"
        " single seeds | 20 deterministic episodes: mean |\n|---|---|---|---|---|---|---|---|---|"
    )
    for (label, recipe, task, steps), rows in sorted(groups.items()):
        rows.sort(key=lambda row: row["seed"])
        scores = np.array([row["last_100"] for row in rows])
        low, high = interval(scores)
        seeds = ", ".join(str(row["seed"]) for row in rows)
        singles = ", ".join(f"{score:.0f}" for score in scores)
        final = np.mean([row["deterministic_20"] for row in rows])
        print(
            f"| {label} | {recipe} | {task} | {steps:,} | {seeds} | **{scores.mean():.0f}** |"
            f" {low:.0f} – {high:.0f} | {singles} | {final:.0f} |"
        )
    return 0


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)

    runner = commands.add_parser("run", help="run what is missing")
    runner.add_argument("--recipes", nargs="+", required=True)
    runner.add_argument("--tasks", nargs="+", required=True)
    runner.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    runner.add_argument("--steps", type=int, default=1_000_000)
    runner.add_argument("--jobs", type=int, default=2)
    runner.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    runner.add_argument("--label", help="folder of these results, instead of one named by --set")
    runner.add_argument("--results", type=Path, default=HERE / "results")
    runner.set_defaults(function=run)

    single = commands.add_parser("one", help="run one entry (used by run)")
    for name, kind in (("recipe", str), ("task", str), ("seed", int), ("steps", int)):
        single.add_argument(name, type=kind)
    single.add_argument("path", type=Path)
    single.add_argument("set", nargs="*")
    single.set_defaults(function=one)

    tabulate = commands.add_parser("table", help="print the table")
    tabulate.add_argument("--results", type=Path, default=HERE / "results")
    tabulate.set_defaults(function=table)

    args = parser.parse_args()
    return int(args.function(args))


if __name__ == "__main__":
    sys.exit(main())

"""The empirical section of the PPO paper, made again.

    python -m benchmarks.paper figure3 --out figure3.svg
    python -m benchmarks.paper table1

Each runs what is missing of its rows, of `benchmarks.learning`, and then prints a table beside the
paper's numbers; `figure3` draws the curves, too. It may be stopped at any moment: the same command
goes on. `--jobs 0` runs nothing and shows what is there. Runs of the library's defaults are those
of `benchmarks.learning run`, and are shared with it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.learning import matrix, rows, runner
from benchmarks.paper.published import FIGURE_3, TABLE_1, TASKS
from surefoot.common.errors import UsageError


def entries(args: argparse.Namespace, recipe: str, label: str, options: dict) -> list[matrix.Entry]:
    """A recipe's runs on all tasks."""
    return matrix.entries(
        [recipe],
        list(TASKS),
        args.seeds,
        steps=args.steps,
        options=options,
        label=label,
        results=args.results.resolve(),
    )


def run(args: argparse.Namespace, groups: Sequence[list[matrix.Entry]]) -> int:
    """Run what is missing, all of a seed before the next seed; the exit code."""
    every = [*entries(args, rows.RANDOM, rows.RANDOM, {}), *(e for group in groups for e in group)]
    todo = sorted(matrix.missing(every), key=lambda entry: entry.seed)
    print(f"{len(every)} runs, {len(every) - len(todo)} of them done", flush=True)
    return runner.run(todo, jobs=args.jobs) if args.jobs else 0


def figure3(args: argparse.Namespace) -> int:
    """Six methods on seven tasks."""
    from benchmarks.learning import lines
    from benchmarks.learning.plot import plot
    from benchmarks.paper import tables

    groups = {recipe: entries(args, recipe, "defaults", {}) for recipe in FIGURE_3}
    code = run(args, list(groups.values()))
    trained = {recipe: tables.last_100(group) for recipe, group in groups.items()}
    print(tables.figure_3(trained, tables.random_scores(args.results, args.seeds)), end="")
    if args.out:
        chosen = lines.load(
            args.results, labels=["defaults"], recipes=list(FIGURE_3), tasks=list(TASKS)
        )
        plot(chosen, args.out, statistic="mean")
    return code


def table1(args: argparse.Namespace) -> int:
    """Eleven settings on seven tasks."""
    from benchmarks.paper import tables

    groups = {s: entries(args, s.recipe, s.label, s.options) for s in TABLE_1}
    code = run(args, list(groups.values()))
    trained = {setting: tables.last_100(group) for setting, group in groups.items()}
    print(tables.table_1(trained, tables.random_scores(args.results, args.seeds)), end="")
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code, 2 for a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    for function in (figure3, table1):
        command = commands.add_parser(function.__name__, help=function.__doc__)
        command.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
        command.add_argument("--steps", type=int, default=1_000_000)
        command.add_argument("--jobs", type=int, default=2, help="runs side by side; 0: none")
        command.add_argument("--results", type=Path, default=rows.RESULTS)
        command.set_defaults(function=function)
    commands.choices["figure3"].add_argument("--out", type=Path, help="PNG, SVG or PDF file")
    args = parser.parse_args(arguments)
    try:
        return int(args.function(args))
    except UsageError as error:
        print(f"benchmarks.paper: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

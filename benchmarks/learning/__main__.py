"""Train a matrix of recipes, tasks and seeds; make a table and learning curves of the results.

    python -m benchmarks.learning run --recipes trpo ppo_clip random --tasks HalfCheetah-v5
    python -m benchmarks.learning table
    python -m benchmarks.learning plot --out curves.svg

`run` starts one process a run, `--jobs` of them side by side, and skips what is done; it may be
stopped at any moment and started again. Each run leaves one JSON file in `--results`, in a folder
named by `--label`. Options that `surefoot.train` takes can be added as `name=value` after `--set`;
such runs have a label of their own. The recipe `random` plays uniformly random actions.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.learning import lines, matrix, rows, runner
from surefoot.common.errors import UsageError


def run(args: argparse.Namespace) -> int:
    """Run what is missing of the matrix."""
    every = matrix.entries(
        args.recipes,
        args.tasks,
        args.seeds,
        steps=args.steps,
        options=options(args.set),
        label=args.label,
        results=args.results.resolve(),
    )
    todo = matrix.missing(every)
    print(f"{len(every)} runs, {len(every) - len(todo)} of them done", flush=True)
    return runner.run(todo, jobs=args.jobs)


def one(args: argparse.Namespace) -> int:
    """Run one entry of the matrix and write its row."""
    # Before anything that counts the cores to start its threads is imported.
    if args.core is not None:
        os.sched_setaffinity(0, {args.core})
    runner.follow_parent()
    from benchmarks.learning.single import one as run_one

    entry = matrix.Entry(
        args.recipe, args.task, args.seed, args.steps, options(args.set), args.folder
    )
    rows.write(entry.path, run_one(entry))
    return 0


def table(args: argparse.Namespace) -> int:
    """Print the table, and write it to a file if one is given."""
    from benchmarks.learning.table import table as make

    text = make(_load(args))
    print(text, end="")
    if args.out:
        args.out.write_text(text)
    return 0


def plot(args: argparse.Namespace) -> int:
    """Draw the learning curves."""
    from benchmarks.learning.plot import plot as draw

    draw(_load(args), args.out, statistic=args.statistic)
    return 0


def _load(args: argparse.Namespace) -> list[lines.Line]:
    return lines.load(args.results, labels=args.label, recipes=args.recipes, tasks=args.tasks)


def options(pairs: Sequence[str]) -> dict[str, Any]:
    """Options from `name=value`; what is no Python literal is text."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--set {pair}; accepted is NAME=VALUE")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found


def _count(text: str) -> int:
    if int(text) < 1:
        raise ValueError
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)

    several = commands.add_parser("run", help="run what is missing")
    several.add_argument("--recipes", nargs="+", required=True)
    several.add_argument("--tasks", nargs="+", required=True)
    several.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    several.add_argument("--steps", type=_count, default=1_000_000)
    several.add_argument("--jobs", type=_count, default=2)
    several.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    several.add_argument("--label", help="folder of these results, instead of one named by --set")
    several.set_defaults(function=run)

    single = commands.add_parser("one", help="run one entry (used by run)")
    for name, kind in (("recipe", str), ("task", str), ("seed", int), ("steps", int)):
        single.add_argument(name, type=kind)
    single.add_argument("folder", type=Path)
    single.add_argument("--core", type=int, help="the core to stay on (Linux)")
    single.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    single.set_defaults(function=one)

    tabulate = commands.add_parser("table", help="print the table")
    tabulate.add_argument("--out", type=Path, help="a file to write it to, too")
    tabulate.set_defaults(function=table)

    draw = commands.add_parser("plot", help="draw the learning curves")
    draw.add_argument("--out", type=Path, required=True, help="PNG, SVG or PDF file to write")
    draw.add_argument("--statistic", choices=("iqm", "mean"), default="iqm", help="over seeds")
    draw.set_defaults(function=plot)

    for command in (several, tabulate, draw):
        command.add_argument("--results", type=Path, default=rows.RESULTS)
    for command in (tabulate, draw):
        command.add_argument("--label", nargs="+", help="only these labels")
        command.add_argument("--recipes", nargs="+", help="only these recipes")
        command.add_argument("--tasks", nargs="+", help="only these tasks")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code, 2 for a mistake of the user's."""
    args = _parser().parse_args(arguments)
    try:
        return int(args.function(args))
    except UsageError as error:
        print(f"benchmarks.learning: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

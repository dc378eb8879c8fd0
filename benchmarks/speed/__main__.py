"""Compare the speed of whole training loops with the peers', and make a table of it.

    python -m benchmarks.speed run
    python -m benchmarks.speed table
    python -m benchmarks.speed turns CONTESTANT CONTESTANT ...

`run` measures what is missing, one process at a time, and may be stopped and started again; the
peers run in `.venv-peers` and `.venv-rejax`, which `make bench-speed` builds. Each measurement
leaves one JSON file in `--results`. `turns` compares few contestants finely: all are alive at once
and work by turns. There a contestant is its name, with options of its program after it, and
NAME@FOLDER runs the surefoot of another checkout.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.speed import runner, turns
from benchmarks.speed.cases import CONTESTANTS
from benchmarks.speed.table import load
from benchmarks.speed.table import table as make_table
from surefoot.common.errors import UsageError

RESULTS = Path(__file__).parent / "results"


def run(args: argparse.Namespace) -> int:
    """Measure what is missing."""
    names = {contestant.name for contestant in CONTESTANTS}
    if unknown := set(args.only or names) - names:
        accepted = ", ".join(sorted(names))
        raise UsageError(f"--only {', '.join(sorted(unknown))}; accepted are {accepted}")
    chosen = [x for x in CONTESTANTS if not args.only or x.name in args.only]
    clock = ("--seconds", f"{args.seconds:g}", "--turns", str(args.turns))
    return runner.run(chosen, rounds=args.rounds, clock=clock, results=args.results.resolve())


def table(args: argparse.Namespace) -> int:
    """Print the table."""
    print(make_table(load(args.results)), end="")
    return 0


def by_turns(args: argparse.Namespace) -> int:
    """Compare by turns, and print the table."""
    entrants = [turns.Entrant.of(text) for text in args.contestant]
    if len(set(args.contestant)) < len(entrants):
        raise UsageError("a contestant that is there twice; accepted is each once")
    if args.cycles < 2 or args.seconds <= 0:
        raise UsageError(
            f"--cycles {args.cycles} --seconds {args.seconds:g}; accepted are at least 2 and more "
            "than 0"
        )
    try:
        took = turns.take_turns(entrants, cycles=args.cycles, seconds=args.seconds)
    except (OSError, RuntimeError) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    print(turns.table(turns.compare(took)), end="")
    machine = runner.machine()
    print(
        f"\n{args.cycles} shares of {args.seconds:g} s each; commit {runner.code_version()}; "
        f"{machine['cores']} cores of {machine['processor']}; {time.strftime('%F')}."
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    several = commands.add_parser("run", help="measure what is missing")
    several.add_argument("--rounds", type=int, default=3)
    several.add_argument("--seconds", type=float, default=10.0, help="least of a measurement")
    several.add_argument("--turns", type=int, default=10, help="least of a measurement")
    several.add_argument("--only", nargs="+", metavar="CONTESTANT", help="only these contestants")
    several.set_defaults(function=run)
    tabulate = commands.add_parser("table", help="print the table")
    tabulate.set_defaults(function=table)
    compared = commands.add_parser("turns", help="compare few finely")
    compared.add_argument("contestant", nargs="+", metavar="CONTESTANT")
    compared.add_argument("--cycles", type=int, default=40, help="shares of each")
    compared.add_argument("--seconds", type=float, default=2.0, help="least of a share")
    compared.set_defaults(function=by_turns)
    for command in (several, tabulate):
        command.add_argument("--results", type=Path, default=RESULTS)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code, 2 for a mistake of the user's."""
    args = _parser().parse_args(arguments)
    try:
        return int(args.function(args))
    except UsageError as error:
        print(f"benchmarks.speed: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

"""Show that two checkouts compute the same: make the golden files of each, and compare them.

    python -m benchmarks.golden make FOLDER [--checkout DIR] [--after BASE]
    python -m benchmarks.golden compare BASE HEAD

`make` writes what this checkout, or the one in DIR, computes for a fixed table of cases; stopped at
any moment, the same command goes on with the first case that is missing. With `--after` its runs
are resumed from the stopped ones in BASE instead of its own. `compare` names every difference, and
ends with 0 if there is none.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import surefoot as sf
from benchmarks.golden import comparing, making
from benchmarks.golden.inside.cases import GROUPS


def make(args: argparse.Namespace) -> int:
    """Make what is missing."""
    after = args.after or args.folder
    return making.make(args.folder, args.checkout, after, args.only or [*GROUPS])


def compare(args: argparse.Namespace) -> int:
    """Print the comparison."""
    report = comparing.compare(args.base, args.head)
    print("\n".join(report.lines))
    return int(not report.equal)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.golden", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    maker = commands.add_parser("make", help="make the golden files of a checkout")
    maker.add_argument("folder", type=Path, help="where they lie")
    maker.add_argument("--checkout", type=Path, default=making.ROOT, help="if not this one")
    maker.add_argument("--after", type=Path, metavar="BASE", help="golden files to go on with")
    maker.add_argument("--only", nargs="+", choices=[*GROUPS], metavar="GROUP", help="of them")
    maker.set_defaults(function=make)
    comparer = commands.add_parser("compare", help="compare the golden files of two checkouts")
    comparer.add_argument("base", type=Path)
    comparer.add_argument("head", type=Path)
    comparer.set_defaults(function=compare)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code, 2 for a mistake of the user's."""
    args = _parser().parse_args(arguments)
    try:
        return int(args.function(args))
    except sf.UsageError as error:
        print(f"benchmarks.golden: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

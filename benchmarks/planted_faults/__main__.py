"""Faults that the tests should notice: list them.

    python -m benchmarks.planted_faults list [--room ROOM]

`list` prints a line a fault: its name, room and file, what is wrong, and what it would cost.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.planted_faults.fault import Fault
from benchmarks.planted_faults.rooms import FAULTS, ROOMS
from surefoot.common.errors import UsageError


def table(faults: Sequence[Fault]) -> str:
    """A line a fault."""
    cells = [("fault", "room", "file", "what is wrong")]
    cells += [(one.name, one.room, one.file.partition("/")[2], one.why) for one in faults]
    widths = [max(len(row[i]) for row in cells) for i in range(3)]
    lines = []
    for *row, why in cells:
        aligned = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join([*aligned, why]))
    return "\n".join(lines)


def show(args: argparse.Namespace) -> int:
    """Print the table."""
    print(table(FAULTS if args.room is None else ROOMS[args.room]))
    return 0


def _parser() -> argparse.ArgumentParser:
    program = "python -m benchmarks.planted_faults"
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    lister = commands.add_parser("list", help="print a line a fault")
    lister.add_argument("--room", choices=[*ROOMS], help="of this room only")
    lister.set_defaults(function=show)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code, 2 for a mistake of the user's."""
    args = _parser().parse_args(arguments)
    try:
        return int(args.function(args))
    except UsageError as error:
        print(f"benchmarks.planted_faults: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

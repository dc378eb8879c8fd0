"""Faults that the tests should notice: list them, and see which of them are noticed.

    python -m benchmarks.planted_faults list [--room ROOM]
    python -m benchmarks.planted_faults run [NAME ...] [--room ROOM] [--suite fast|thorough]

`list` prints a line a fault: its name, room and file, what is wrong, and what it would cost. `run`
plants each fault in a copy of the package, runs this checkout's tests on it until one fails, and
prints what was caught. Results lie in `--results`, a file a fault; stopped at any moment, the same
command goes on with the first fault that is missing. The exit code is 0 where all were caught, 1
where one was not, and 2 for a mistake.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.planted_faults import results, running
from benchmarks.planted_faults.fault import Fault
from benchmarks.planted_faults.rooms import FAULTS, ROOMS
from benchmarks.planted_faults.testing import LIMIT, SUITES, Suite
from surefoot.common.errors import UsageError, closest

ROOT = Path(__file__).parents[2]


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


def chosen(names: Sequence[str], room: str | None) -> list[Fault]:
    """The faults of these names, or of a room, or all. Raises `UsageError` for an unknown name."""
    of_room = FAULTS if room is None else ROOMS[room]
    by_name = {fault.name: fault for fault in of_room}
    for name in names:
        if name not in by_name:
            where = "there is" if room is None else f"{room} has"
            raise UsageError(
                f"{where} no fault {name!r}; 'list' shows what is accepted.{closest(name, by_name)}"
            )
    return [by_name[name] for name in dict.fromkeys(names)] or list(of_room)


def show(args: argparse.Namespace) -> int:
    """Print the table."""
    print(table(chosen([], args.room)))
    return 0


def run(args: argparse.Namespace) -> int:
    """Run what is missing, and print the summary."""
    if args.jobs < 1:
        raise UsageError(f"--jobs is {args.jobs}; accepted is an integer >= 1")
    folder = args.results.resolve()
    cache = folder / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    suite = Suite(ROOT, cache, name=args.suite, limit=args.limit)
    faults, whole = chosen(args.names, args.room), not args.first_only
    told = running.run(faults, suite, folder, whole=whole, jobs=args.jobs)
    print(results.summary(ROOMS, told))
    return int(any(result.verdict != "caught" for result in told.values()))


def _parser() -> argparse.ArgumentParser:
    program = "python -m benchmarks.planted_faults"
    parser = argparse.ArgumentParser(prog=program, description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    lister = commands.add_parser("list", help="print a line a fault")
    lister.set_defaults(function=show)
    runner = commands.add_parser("run", help="see which faults the tests notice")
    runner.add_argument("names", nargs="*", metavar="NAME", help="of faults; by default all")
    runner.add_argument("--suite", choices=[*SUITES], default="fast", help="which tests to run")
    runner.add_argument(
        "--first-only", action="store_true", help="run each fault's own tests and no others"
    )
    runner.add_argument("--jobs", type=int, default=1, help="faults at a time")
    runner.add_argument(
        "--limit", type=float, default=LIMIT, metavar="SECONDS", help="that tests may take"
    )
    runner.add_argument(
        "--results",
        type=Path,
        default=ROOT / "runs" / "planted-faults",
        metavar="FOLDER",
        help="where results and compiled programs are kept (runs/planted-faults)",
    )
    runner.set_defaults(function=run)
    for command in (lister, runner):
        command.add_argument("--room", choices=[*ROOMS], help="the faults of this room only")
    return parser


def _stop(number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code, 2 for a mistake of the user's."""
    args = _parser().parse_args(arguments)
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        return int(args.function(args))
    except UsageError as error:
        print(f"benchmarks.planted_faults: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main())

"""The command line: the table of commands, and how each ends.

A user's mistake is one line on standard error and exit code 2; a defect keeps its traceback. JAX is
imported only by the commands that compute, so that help is immediate.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from surefoot.cli.typed_command import runnable
from surefoot.common import output
from surefoot.common.errors import Notice, TrainingError, UsageError, closest
from surefoot.common.version import __version__
from surefoot.methods.registry import RECIPES


class Command(NamedTuple):
    """A command as the usage shows it."""

    module: str
    """In `surefoot.cli.commands`."""
    arguments: str
    """What follows its name."""
    purpose: str
    """What it is for."""
    leaves_files: bool = False
    """Whether it is for the files that it leaves, and not for what it prints."""


COMMANDS = {
    "train": Command(
        "train",
        "ALGORITHM ENV [options]",
        "train a policy ('surefoot train ALGORITHM --help')",
        True,
    ),
    "resume": Command(
        "resume", "RUN [--steps N]", "go on with a run that was interrupted, or further", True
    ),
    "watch": Command("watch", "RUN|DIR [--once]", "show runs while they are being written"),
    "evaluate": Command("evaluate", "RUN [options]", "play episodes with a run's agent"),
    "record": Command("record", "RUN [options]", "keep a run's agent's episodes to imitate", True),
    "export": Command("export", "RUN [options]", "write a run's policy to run elsewhere", True),
    "inspect": Command(
        "inspect", "RUN [--iteration K]", "what one update did, along the line on which it lies"
    ),
    "report": Command(
        "report", "RUN [RUN ...] [-o FILE]", "a page of a run, or of several compared", True
    ),
    "list": Command("listing", "[algorithms|envs]", "what there is"),
    "check-env": Command("check_env", "ID|MODULE:NAME", "look for defects of an environment"),
    "doctor": Command("doctor", "", "versions, devices, and whether they compute correctly"),
}


def usage() -> str:
    """The text of `surefoot --help`."""
    calls = {f"{name} {command.arguments}": command for name, command in COMMANDS.items()}
    width = max(map(len, calls)) + 2
    lines = [f"  surefoot {call:<{width}}{command.purpose}" for call, command in calls.items()]
    lines.append(f"  surefoot {'--version':<{width}}the version")
    return "\n".join(
        [
            f"surefoot {__version__}: policy optimization that knows how far it steps",
            "",
            "usage:",
            *lines,
            "",
            f"algorithms: {', '.join(RECIPES)}",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    with output.tolerant() as printed, _notices():
        code = _run(arguments)
        printed.flush()
        if printed.failure is not None:
            code = code or _unread(arguments, printed.failure)
    return code


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    if arguments[0] == "--version":
        print(f"surefoot {__version__}")
        return 0
    command = arguments[0]
    try:
        if command not in COMMANDS:
            accepted = ", ".join(COMMANDS)
            near = closest(command, COMMANDS)
            raise UsageError(f"unknown command {command!r}; accepted are {accepted}.{near}")
        module = importlib.import_module(f"surefoot.cli.commands.{COMMANDS[command].module}")
        return int(module.main(arguments[1:]))
    except UsageError as error:
        print(f"surefoot: {runnable(str(error))}", file=sys.stderr)
        return 2
    except TrainingError as error:
        print(f"surefoot: {runnable(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("surefoot: interrupted", file=sys.stderr)
        return 130


@contextlib.contextmanager
def _notices() -> Iterator[None]:
    """Print a `Notice` as one line; other warnings as Python does."""
    before = warnings.showwarning

    def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, Notice):
            print(f"surefoot: {message}", file=sys.stderr)
        else:
            before(message, category, *where, **more)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


def _unread(arguments: list[str], failure: OSError) -> int:
    """The exit code of a command that did what it was to do, but could not print all of it. Where
    that is to leave files, nothing has failed, and it is said. Whoever closes the pipe of another,
    as `head` does, knows it."""
    command = COMMANDS.get(arguments[0]) if arguments else None
    unwritten = f"surefoot: standard output cannot be written: {failure.strerror}"
    if command is not None and command.leaves_files:
        print(f"{unwritten}; 'surefoot {arguments[0]}' did its work", file=sys.stderr)
        return 0
    if failure.errno == errno.EPIPE:
        return 128 + signal.SIGPIPE
    print(unwritten, file=sys.stderr)
    return 1

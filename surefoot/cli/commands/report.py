"""`surefoot report`: runs as a page to look at."""

from __future__ import annotations

import dataclasses
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from surefoot.cli.arguments import parse
from surefoot.cli.commands.messages import make_console, print_line, word
from surefoot.cli.typed_command import runnable
from surefoot.common.errors import UsageError
from surefoot.common.printable import one_line

#: What a page is called in a run's folder.
PAGE = "report.html"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """Write a run, or several of them compared over their seeds, as one HTML file that needs no
    network."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of runs, or folders that hold runs one or two levels below, as that of train --seeds
    does."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """The file to write, if not report.html in the folder that is given, or here where several
    are."""


def main(arguments: Sequence[str]) -> int:
    """Write a report, and return the exit code."""
    spelled = ["--out" if word == "-o" else word for word in arguments]
    options = parse(Report, spelled, prog="surefoot report", positionals=["runs"])
    from surefoot.reporting.entry import report

    print_line(make_console(), f"written: {report(options.runs, out=options.out)}")
    return 0


def wanted(folder: Path, run: Path) -> bool:
    """Whether a page of the folder, which has the run, is wanted: there is one, or the run was not
    trained with --no-report."""
    from surefoot.runs.folder import config_file
    from surefoot.runs.folder.command_line import made_by

    return (folder / PAGE).is_file() or "--no-report" not in made_by(config_file.read(run))


def report_at_end(console: Any, folder: Path) -> None:
    """Write the page of a run that has ended into its folder: whatever comes of it, the run is
    whole, and the command has not failed."""
    from surefoot.reporting import write

    try:
        print_line(console, f"report: {write([folder], folder / PAGE)}")
    except UsageError as error:
        print_line(console, f"no report: {error}")
    except Exception:
        traceback.print_exc()
        failed = "the run is complete, but its report failed"
        again = f"surefoot: {failed}: 'surefoot report {word(folder)}' tries again"
        print(one_line(runnable(again)), file=sys.stderr)

"""`report`: the page of runs, from Python."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from surefoot.agents.agent import Agent
from surefoot.common.errors import UsageError, in_short
from surefoot.common.parameters import check_path
from surefoot.reporting.data.run_paths import is_folder
from surefoot.reporting.report import write
from surefoot.runs.recorder import Result

#: What a page is called in a run's folder.
PAGE = "report.html"

#: A run: its folder, or an agent that it made.
RunLike = str | os.PathLike[str] | Agent | Result


def report(runs: RunLike | Sequence[RunLike], *, out: str | Path | None = None) -> Path:
    """Write a page of runs, replacing one that is there, and return its path.

    Args:
        runs: a run or several, each a folder, the agent that `train`, `resume` or `load` returned,
            or a folder of runs. One is shown in detail, several are compared.
        out: the file to write, `.html`; by default report.html in the run's folder, or here where
            several are given.

    Raises:
        UsageError: something is no run, or was trained without a folder; the file cannot be
            written, or neither plotly nor matplotlib is installed.
    """
    one = isinstance(runs, str | os.PathLike | Agent | Result)
    told: Any = [runs] if one else runs
    if not isinstance(told, Sequence) or not told:
        raise UsageError(
            f"runs is {in_short(runs)}; accepted are folders of runs, and agents of runs with a "
            "folder"
        )
    folders = [_folder(run) for run in told]
    return write(folders, default_page(folders) if out is None else out)


def default_page(folders: Sequence[Path]) -> Path:
    """Where the page of these is written, if nobody says so."""
    alone = len(folders) == 1 and is_folder(folders[0])
    return folders[0] / PAGE if alone else Path(PAGE)


def _folder(run: Any) -> Path:
    if isinstance(run, Result):
        run = run.agent
    if isinstance(run, Agent):
        if run.run is None:
            raise UsageError(f"{run!r} has no run's folder: train it with out=FOLDER")
        return run.run
    if not isinstance(run, str | os.PathLike):
        raise UsageError(
            f"a run is {in_short(run)}; accepted are a run's folder, and an agent of a run with a "
            "folder"
        )
    return check_path("a run", run)

"""`write`: from run folders to a page in a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from surefoot.common.errors import UsageError, in_short
from surefoot.common.files.atomic import beside
from surefoot.common.files.folder_lock import is_held
from surefoot.common.parameters import check_path
from surefoot.reporting import page
from surefoot.reporting.comparison.compare import Comparison, compare
from surefoot.reporting.data.read_run import read
from surefoot.reporting.data.run_log import Log
from surefoot.reporting.data.run_paths import find_runs, is_folder
from surefoot.reporting.drawing import matplotlib_figures, plotly_figures
from surefoot.reporting.drawing.figures import Figure
from surefoot.reporting.drawing.formatting import number, percent
from surefoot.reporting.drawing.tables import Table
from surefoot.reporting.page import Fact, Section
from surefoot.reporting.run_facts import best_mean, run_facts
from surefoot.reporting.single_run import figures
from surefoot.reporting.single_run.checks import checks
from surefoot.reporting.single_run.others import others
from surefoot.reporting.single_run.timing import time_parts
from surefoot.runs.folder import command_line

#: Runs that are all named; of more, the table of them is folded.
_FEW = 12


def write(paths: Sequence[str | Path], out: str | Path) -> Path:
    """Write the page of the runs that `paths` stand for, replacing one that is there.

    Args:
        paths: folders of runs, or folders that hold such folders one or two levels below; one run
            is shown in detail, several are compared.
        out: the file to write, `.html`.

    Raises:
        UsageError: a path is no run's and holds none, the file cannot be written, or neither
            plotly nor matplotlib is installed.
    """
    out = check_file(check_path("out", out))
    picture = _picture()
    paths = _as_paths(paths)
    folders = find_runs(paths)
    # A run may hold infinite numbers, and a difference of two is none: a gap in a figure.
    with np.errstate(invalid="ignore", over="ignore"):
        if len(folders) == 1:
            text = _one(read(folders[0]), picture)
        else:
            text = _several(folders, picture, {Path(path).resolve() for path in paths})
    _replace(out, text)
    return out


def _as_paths(paths: Any) -> list[Path]:
    """Several paths, or a single one."""
    if isinstance(paths, str | os.PathLike):
        return [check_path("paths", paths)]
    try:
        given = list(paths)
    except TypeError:
        raise UsageError(f"paths is {in_short(paths)}; accepted are folders of runs") from None
    if not given:
        raise UsageError("paths is empty; accepted are folders of runs, one or more")
    return [check_path("one of the paths", path) for path in given]


def check_file(path: Path) -> Path:
    """The path, if a page can be written there and there is something to draw with; `UsageError`
    otherwise."""
    if path.suffix not in (".html", ".htm"):
        raise UsageError(
            f"{path} ends in {path.suffix or 'nothing'!r}; accepted is .html, report.html for "
            "instance"
        )
    if is_folder(path):
        raise UsageError(f"{path} is a folder; accepted is a file, report.html for instance")
    if not is_folder(path.parent):
        raise UsageError(f"{path} cannot be written: there is no folder {path.parent}; make it")
    _picture()
    return path


def _picture() -> Callable[[Figure], str]:
    if plotly_figures.available():
        return page.interactive_picture
    if matplotlib_figures.available():
        return matplotlib_figures.picture
    raise UsageError(
        "a report needs plotly, or matplotlib for one that does not move: "
        "pip install 'surefoot[report]' or 'surefoot[figures]'"
    )


def _replace(out: Path, text: str) -> None:
    try:
        with beside(out, replace=True) as part:
            part.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}; pass another path") from None


def _one(log: Log, picture: Callable[[Figure], str]) -> str:
    config = log.config
    title = f"{config['algorithm']} on {config['environment']}"
    drawn = figures(log)
    sections = []
    found = checks(log, drawn)
    if found:
        sections.append(Section("What stands out", page.checks(found)))
    rest, left = others(log, drawn)
    if drawn or rest:
        shown = page.figures(drawn, picture)
        every = f"figures show one row of {log.every:,}" if log.every > 1 else ""
        sections.append(
            Section("The run", page.notes([*log.notes, *[every] * bool(every)]) + shown)
        )
    else:
        none = "the run has no iteration yet: there is nothing to draw"
        sections.append(Section("The run", page.notes([none, *log.notes])))
    if rest or left:
        shown = page.figures(rest, picture) if rest else ""
        sections.append(Section("Further diagnostics", page.notes(left) + shown))
    sections.append(Section("What made it", _provenance(log)))
    return page.page(
        title, f"{_state(log)} · {log.folder}", run_facts(log), sections, plotly=_moves(picture)
    )


def _moves(picture: Callable[[Figure], str]) -> bool:
    return picture is page.interactive_picture


def _state(log: Log) -> str:
    seed = log.config["setup"].get("seed")
    seed_text = "" if seed is None else f"seed {seed}, "
    if log.complete:
        return f"{seed_text}{log.total:,} steps"
    state = {True: "running", False: "interrupted", None: "running, or interrupted"}
    return f"{seed_text}{log.total:,} of {log.planned:,} steps: {state[is_held(log.folder)]}"


def _provenance(log: Log) -> str:
    config = log.config
    text = ""
    command = command_line.command(config, steps=log.budget if log.made_longer else None)
    if command is not None:
        text += page.command(command)
    parts = {name: float(values.sum()) for name, values in time_parts(log).items()}
    whole = sum(parts.values())
    if whole:
        rows = [
            (name, f"{number(seconds * log.every)} s", percent(seconds / whole))
            for name, seconds in parts.items()
        ]
        spent = Table("Where the time of the run went", ("part", "time", "share"), rows)
        text += page.table(spent, "time-table")
    pairs = [
        _settings("Hyperparameters of the method", config["hyperparameters"]),
        _settings("What the run was, beside its method", config["setup"]),
        _settings("Versions that its numbers depend on", config["versions"]),
    ]
    shown = [page.table(one, "settings", words=True) for one in pairs if one.rows]
    return f'{text}<div class="pair">{"".join(shown)}</div>\n'


def _settings(caption: str, values: dict[str, object]) -> Table:
    return Table(caption, ("name", "value"), [(name, _say(v)) for name, v in values.items()])


def _say(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(_say, value))
        case None:
            return "–"
        case _:
            return str(value)


def _several(folders: Sequence[Path], picture: Callable[[Figure], str], named: set[Path]) -> str:
    logs, left = [], []
    for folder in folders:
        try:
            logs.append(read(folder, detail=0))
        except UsageError as error:
            if folder.resolve() in named:
                raise
            left.append(f"left out: {error}")
    if not logs:
        raise UsageError(f"none of {len(folders)} runs can be read: {left[0]}")
    shown = compare(logs)
    methods = list(dict.fromkeys(one.method for one in shown.groups))
    tasks = list(dict.fromkeys(one.task for one in shown.groups))
    notes = [*left, *shown.notes, *_broken(logs)]
    results = "".join(page.table(table, f"table-{i}") for i, table in enumerate(shown.tables))
    sections = [Section("Results", page.notes(notes) + results)]
    if shown.figures:
        sections.append(Section("Figures", page.figures(shown.figures, picture)))
    sections.append(Section("The runs", page.table(_runs(shown), "runs")))
    counted = [log for one in shown.groups for log in one.runs]
    facts = [
        Fact("Runs", f"{len(counted):,}"),
        Fact("Methods", f"{len(methods):,}"),
        Fact("Tasks", f"{len(tasks):,}"),
        Fact("Steps", f"{sum(log.total for log in counted):,}", "of all runs together"),
    ]
    title = f"{_names(methods, 'methods')} on {_names(tasks, 'tasks')}"
    subtitle = f"{len(counted):,} runs compared over their seeds"
    return page.page(title, subtitle, facts, sections, plotly=_moves(picture))


def _broken(logs: Sequence[Log]) -> list[str]:
    found = [f"{log.folder}: {note}" for log in logs for note in log.notes]
    return found if len(found) <= _FEW else [*found[:_FEW], f"… and {len(found) - _FEW:,} more"]


def _names(names: Sequence[str], kind: str) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} {kind}"


def _runs(shown: Comparison) -> Table:
    rows = [
        (
            str(log.folder),
            one.method,
            one.task,
            _say(log.config["setup"].get("seed")),
            f"{log.total:,}" + ("" if log.complete else f" of {log.planned:,}"),
            f"{len(log.returns):,}",
            "diverged" if log.score.diverged else number(log.score.value),
            number(best_mean(log.curve[1])),
            f"{len(log.refused):,}",
        )
        for one in shown.groups
        for log in one.runs
    ]
    header = ("run", "method", "task", "seed", "steps", "episodes", "score", "best")
    return Table(
        "Every run: mean return in the last tenth of its steps, highest mean return in a fiftieth "
        "of them, refused updates",
        (*header, "refused"),
        rows,
        folded=len(rows) > _FEW,
    )

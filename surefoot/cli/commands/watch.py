"""`surefoot watch`: runs as they are being written."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro

from surefoot.cli.arguments import parse
from surefoot.cli.commands.messages import make_console
from surefoot.common.errors import UsageError
from surefoot.common.fields import positive, validate
from surefoot.common.printable import one_line


@dataclasses.dataclass(frozen=True, kw_only=True)
class Watch:
    """Show a run, or all runs in a folder, on the terminal, refreshed until Ctrl-C. Only reads."""

    run: tyro.conf.Positional[Path]
    """A run's folder, or one that holds runs."""
    once: bool = False
    """Print once and end, as without a terminal."""
    every: float = positive(1.0)
    """Seconds between two looks."""

    def __post_init__(self) -> None:
        validate(self)


def main(arguments: Sequence[str]) -> int:
    """Watch, and return the exit code."""
    options = parse(Watch, arguments, prog="surefoot watch", positionals=["run"])
    try:
        found = options.run.is_dir()
    except OSError as error:
        raise UsageError(f"{options.run} can be no folder: {error.strerror}") from None
    if not found:
        raise UsageError(f"{options.run} is no folder: pass a run's, or one that holds runs")
    from rich.live import Live

    console = make_console()
    view = _View(options.run)
    if options.once or not console.is_terminal:
        console.print(view.render(console.width))
        return 0
    try:
        with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
            # A terminal that is gone is watched by nobody.
            while getattr(console.file, "failure", None) is None:
                live.update(view.render(console.width), refresh=True)
                time.sleep(options.every)
    except KeyboardInterrupt:
        pass
    return 0


class _View:
    """The view of a folder that `watch` refreshes."""

    def __init__(self, folder: Path) -> None:
        from surefoot.runs.display.watched_run import RunWatcher
        from surefoot.runs.folder import config_file

        self._folder = folder
        self._alone = RunWatcher(folder) if (folder / config_file.NAME).is_file() else None
        self._runs: dict[Path, RunWatcher] = {}

    def render(self, width: int) -> Any:
        """The folder as it is now, to be printed."""
        from rich.text import Text

        from surefoot.runs.display import dashboard
        from surefoot.runs.display.watched_run import RunWatcher
        from surefoot.runs.folder.find_runs import find

        if self._alone is not None:
            if self._alone.poll():
                return dashboard.of_run(self._alone)
            return Text(one_line(f"{self._folder} is gone"))
        runs = {path: self._runs.get(path) or RunWatcher(path) for path in find(self._folder)}
        self._runs = {path: run for path, run in runs.items() if run.poll()}
        shown = [run for run in self._runs.values() if run.config]
        if not shown:
            return Text(one_line(f"no runs in {self._folder} yet"))
        return dashboard.table(shown, self._folder, width=width)

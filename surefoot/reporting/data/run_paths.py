"""The runs that paths on the command line stand for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from surefoot.common.errors import UsageError
from surefoot.runs.folder import config_file
from surefoot.runs.folder.find_runs import find, is_run


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """The runs' folders that the paths stand for, each once. Raises `UsageError` for a path that
    stands for none."""
    found: dict[Path, Path] = {}
    for path in paths:
        for folder in _runs_of(path):
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def _runs_of(path: Path) -> list[Path]:
    def refuse(error: OSError) -> NoReturn:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None

    try:
        if is_run(path):
            return [path]
        if not path.exists():
            raise UsageError(f"{path} does not exist; accepted is a run's folder, or one of runs")
        if not path.is_dir():
            raise UsageError(f"{path} is a file; accepted is a run's folder, or a folder of runs")
    except OSError as error:
        refuse(error)
    runs = find(path, onerror=refuse)
    if not runs:
        raise UsageError(
            f"{path} is no run and holds none: there is no {config_file.NAME} in it, or one or "
            "two levels below; pass a folder that 'surefoot train' wrote"
        )
    return runs


def is_folder(path: Path) -> bool:
    """Whether there is a folder. Raises `UsageError` where there can be none."""
    try:
        return path.is_dir()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; pass another path") from None

"""Which folders are runs: the one that is named, or those one or two levels below it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from surefoot.errors import UsageError

CONFIG = "config.json"


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """The runs' folders that the paths stand for, each once. Raises `UsageError` for a path that
    stands for none."""
    found: dict[Path, Path] = {}
    for path in paths:
        for folder in _runs_of(path):
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def _runs_of(path: Path) -> list[Path]:
    try:
        if (path / CONFIG).is_file():
            return [path]
        if not path.exists():
            raise UsageError(f"{path} does not exist; accepted is a run's folder, or one of runs")
        if not path.is_dir():
            raise UsageError(f"{path} is a file; accepted is a run's folder, or a folder of runs")
        children = _folders(path)
        runs = []
        for child in children:
            below = [child] if (child / CONFIG).is_file() else _folders(child)
            runs += [folder for folder in below if (folder / CONFIG).is_file()]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    if not runs:
        raise UsageError(
            f"{path} is no run and holds none: there is no {CONFIG} in it, or one or two levels "
            "below; pass a folder that 'surefoot train' wrote"
        )
    return runs


def is_folder(path: Path) -> bool:
    """Whether there is a folder. Raises `UsageError` where there can be none."""
    try:
        return path.is_dir()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; pass another path") from None


def _folders(path: Path) -> list[Path]:
    return sorted((p for p in path.iterdir() if p.is_dir()), key=lambda p: _natural(p.name))


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts seed-2 before seed-10."""
    parts: Iterable[str] = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]

"""Which folders are runs: those one or two levels below another one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from surefoot.runs.folder import config_file

#: Runs of a folder that are named.
_NAMED = 5


def is_run(folder: Path) -> bool:
    """Whether it is a run's folder. Raises `OSError` where that cannot be told."""
    return (folder / config_file.NAME).is_file()


def find(folder: Path, onerror: Callable[[OSError], object] = lambda error: None) -> list[Path]:
    """The runs in a folder, those of seeds that were trained at once with them, which lie one level
    further below. In a run there are no others. `onerror` is called where something cannot be read,
    and may raise; by default it is passed over."""

    def run(path: Path) -> bool:
        try:
            return is_run(path)
        except OSError as error:
            onerror(error)
            return False

    def folders(path: Path) -> list[Path]:
        try:
            found = [child for child in path.iterdir() if child.is_dir()]
        except OSError as error:
            onerror(error)
            return []
        return sorted(found, key=lambda child: _natural(child.name))

    below = [[child] if run(child) else filter(run, folders(child)) for child in folders(folder)]
    return [path for paths in below for path in paths]


def runs_inside(folder: Path) -> str:
    """The runs in a folder, as the end of a message that it is none itself; empty if there are
    none."""
    inside = [str(path) for path in find(folder)]
    if not inside:
        return ""
    more = f" and {len(inside) - _NAMED:,} more" if len(inside) > _NAMED else ""
    return f"; it holds {', '.join(inside[:_NAMED])}{more}"


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts seed-2 before seed-10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)
    ]

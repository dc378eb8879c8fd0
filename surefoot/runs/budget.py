"""How many environment steps a run is to have at most: what its configuration says, or its newest
checkpoint, for a run that was made longer says so there alone."""

from __future__ import annotations

import json
from pathlib import Path

#: What a manifest is not larger than.
_LARGEST = 16 * 1024 * 1024


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of a run's folder, by its name, if there is one."""
    return next(iter(_checkpoints(folder)), None)


def made_longer(folder: Path, planned: int) -> int:
    """Environment steps at most of a run that was planned with so many: those of its newest
    checkpoint that can be read, or `planned` if there is none, or it has fewer."""
    for path in _checkpoints(folder):
        manifest = path / "manifest.json"
        try:
            if manifest.stat().st_size > _LARGEST:
                continue
            told = json.loads(manifest.read_bytes())["budget"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        if isinstance(told, int):
            return max(planned, told)
    return planned


def _checkpoints(folder: Path) -> list[Path]:
    """Newest first; names are of digits, of which there may be more later."""
    try:
        found = [path for path in (folder / "checkpoints").iterdir() if path.name.isdecimal()]
    except OSError:
        return []
    return sorted(found, key=lambda path: int(path.name), reverse=True)

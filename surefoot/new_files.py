"""New files, written beside their place and renamed into it: what is there is complete."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from surefoot.errors import UsageError


def check_new_file(path: str | Path, *, purpose: str) -> Path:
    """The path, if nothing is there yet and a file can be made there; `UsageError` otherwise.
    `purpose` says what the file is for: 'the video', for instance."""
    path = Path(path)
    try:
        # A link that leads nowhere is something, too.
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} exists; accepted is a new path for {purpose}")
        above = next(parent for parent in path.absolute().parents if parent.exists())
    except OSError as error:
        raise UsageError(f"{path} can be no file: {error.strerror}; pass another path") from None
    if not (above.is_dir() and os.access(above, os.W_OK)):
        raise UsageError(f"{path} cannot be made: {above} is no writable folder; pass another path")
    return path


@contextlib.contextmanager
def beside(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """An empty file beside `path`, renamed to it at the end of the `with` block, and gone if that
    raises. Folders above are made. Raises `OSError` if it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".part", dir=path.parent)
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.chmod(0o644)
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_new(path: Path, data: bytes) -> None:
    """Write a whole file. Raises `OSError` if it cannot be written."""
    with beside(path) as part:
        part.write_bytes(data)

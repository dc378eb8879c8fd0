"""New files, written beside their place and renamed into it: what is there is complete."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from surefoot.common.errors import UsageError
from surefoot.common.parameters import check_path


def check_new_file(path: str | Path, *, purpose: str) -> Path:
    """The path, if nothing is there yet and a file can be made there; `UsageError` otherwise.
    `purpose` says what the file is for: 'the video', for instance."""
    path = check_path("path", path)
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
    raises. Folders above are made. Raises `UsageError` if something has appeared at `path`, unless
    that is to be replaced, and `OSError` if it cannot be written."""
    with all_beside(path, replace=replace) as (part,):
        yield part


@contextlib.contextmanager
def all_beside(*paths: Path, replace: bool = False) -> Iterator[list[Path]]:
    """`beside` for several files: they are renamed in this order once all of them are on the disk.
    Where one cannot be, the others are taken away again, but for those that may replace."""
    with contextlib.ExitStack() as parts:
        made = [_part(path, parts) for path in paths]
        yield made
        for part in made:
            sync(part)
            part.chmod(0o644)
        with contextlib.ExitStack() as on_error:
            for part, path in zip(made, paths, strict=True):
                if replace:
                    part.replace(path)
                else:
                    _place(part, path)
                    on_error.callback(path.unlink, missing_ok=True)
            for folder in {path.parent for path in paths}:
                sync(folder)
            on_error.pop_all()


def _part(path: Path, parts: contextlib.ExitStack) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".part", dir=path.parent)
    os.close(descriptor)
    part = Path(name)
    parts.callback(part.unlink, missing_ok=True)
    return part


def _place(part: Path, path: Path) -> None:
    """Rename, but never replace: a link, unlike a rename, fails where something is."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise _appeared(path) from None
    except OSError:
        # Some file systems have no links: there a moment remains.
        if os.path.lexists(path):
            raise _appeared(path) from None
        part.rename(path)


def _appeared(path: Path) -> UsageError:
    return UsageError(f"{path} was made by another process meanwhile; accepted is a new path")


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: Path, data: bytes) -> None:
    """Write a whole file. Raises `UsageError` if something has appeared there, and `OSError` if it
    cannot be written."""
    with beside(path) as part:
        part.write_bytes(data)

"""Files that are files: no link is written through, and no pipe or device is read.

A run's folder may come from another hand. What is at a name there may be a link to a file of
one's own, a second name of it, a pipe that nobody fills, or a device without an end. Each is told
of as an `OSError`, whose text says what is there.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO

#: Bytes that no line of a run's files is longer than.
LONGEST_LINE = 2**26
# Not everywhere; a pipe is opened at once with the second, and refused.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)


def open_to_read(path: Path) -> BinaryIO:
    """The file, to read its bytes; what a link leads to is read, too. Raises `OSError` where it
    cannot be read, or is none."""

    def opener(name: str, flags: int) -> int:
        return _regular(os.open(name, flags | _AT_ONCE), path)

    # Before it is opened, which a device may notice.
    if not stat.S_ISREG(path.stat().st_mode):
        raise _refused(errno.EINVAL, "is no regular file", path)
    return open(path, "rb", opener=opener)


def open_to_write(path: Path, *, new: bool) -> FileIO:
    """The file, to read and write its bytes without a buffer: `new`, in the place of whatever has
    that name, or the one that is there. Raises `OSError` where it cannot be written, is a link or
    has another name, by which it may be a file of somebody else's."""
    if new:
        path.unlink(missing_ok=True)

    def opener(name: str, flags: int) -> int:
        # Not emptied by being opened, as "wb" would: what it is, is not known before.
        flags = (flags & ~os.O_TRUNC) | _NO_LINK | _AT_ONCE | (os.O_EXCL if new else 0)
        return _own(_opened(name, flags, 0o666), path)

    return open(path, "w+b" if new else "r+b", buffering=0, opener=opener)


def descriptor(path: Path) -> int:
    """A descriptor of a file that is looked at and neither read nor written. Raises `OSError` as
    `open_to_write` does."""
    return _own(_opened(path, os.O_RDONLY | _NO_LINK | _AT_ONCE, 0), path)


def check_file(path: Path) -> None:
    """Raise `OSError` if there is something that `open_to_write` refuses; nothing may be there."""
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    _check_own(there, path)


def check_folder(path: Path) -> None:
    """Raise `OSError` if there is a link, or something else that is no folder; nothing may be
    there."""
    try:
        there = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(there):
        raise _link(path)
    if not stat.S_ISDIR(there):
        raise _refused(errno.ENOTDIR, "is no folder", path)


def lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file, with their ends. Raises `OSError` at one that is longer than
    `LONGEST_LINE`."""
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            reason = f"has a line of more than {LONGEST_LINE:,} bytes"
            raise _refused(errno.EFBIG, reason, file.name)
        yield line


def _opened(path: str | Path, flags: int, mode: int) -> int:
    try:
        return os.open(path, flags, mode)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK) and os.path.islink(path):
            raise _link(path) from None
        raise


def _regular(opened: int, path: Path) -> int:
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise _refused(errno.EINVAL, "is no regular file", path)
    return opened


def _own(opened: int, path: Path) -> int:
    try:
        _check_own(os.fstat(opened), path)
    except OSError:
        os.close(opened)
        raise
    return opened


def _check_own(there: os.stat_result, path: Path) -> None:
    if stat.S_ISLNK(there.st_mode):
        raise _link(path)
    if not stat.S_ISREG(there.st_mode):
        raise _refused(errno.EINVAL, "is no regular file", path)
    if there.st_nlink > 1:
        raise _refused(errno.EMLINK, "has another name, a hard link", path)


def _link(path: str | Path) -> OSError:
    return _refused(errno.ELOOP, "is a link", path)


def _refused(number: int, reason: str, path: str | Path) -> OSError:
    return OSError(number, reason, str(path))

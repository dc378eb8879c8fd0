"""Files of a folder of another hand, opened to be read: a pipe that nobody writes, a device without
an end, and a line as long as the disk must not hold anybody up."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

#: Bytes of the longest line that is read: a row of ten million episodes is shorter.
LONGEST_LINE = 2**28


def open_regular(path: Path) -> BinaryIO:
    """The file, opened to be read. Raises `OSError` where there is none, or something else."""
    # Without O_NONBLOCK, opening a pipe waits for whoever writes it.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """Its lines. Raises `OSError` at one that is longer than `LONGEST_LINE`."""
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise OSError(errno.EFBIG, f"a line is longer than {LONGEST_LINE:,} bytes", file.name)
        yield line


def read_regular(path: Path) -> bytes:
    """All of it, under the conditions of `open_regular`."""
    with open_regular(path) as file:
        return file.read()

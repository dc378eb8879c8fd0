"""A file that grows by whole entries, also where a disk is full for a while.

What could not be written is kept and written with the next entry, so that the file holds whole
entries, and every entry once.
"""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path

from surefoot.common.files.regular_file import open_to_write


class AppendOnlyFile:
    """A file of bytes that are appended in whole entries. It is opened with the first of them, so
    that one that cannot be made fails like one that cannot be written. Nothing is written through a
    link."""

    def __init__(self, path: Path, *, keep: int | None = None) -> None:
        """A new file, which replaces an older one, or with `keep` one that is there, cut back to
        that many bytes."""
        self.path = path
        self.length = 0 if keep is None else keep
        """Bytes of whole entries that are written."""
        self._new = keep is None
        self._file: FileIO | None = None
        self._pending = b""

    def open(self) -> None:
        """Open the file now."""
        if self._file is None:
            # Unbuffered: what a full disk does not take must not be tried again behind our back.
            self._file = open_to_write(self.path, new=self._new)
            self._file.truncate(self.length)
            self._new = False

    def add(self, entry: bytes) -> None:
        """One more entry, for the next `flush`."""
        self._pending += entry

    @property
    def waiting(self) -> bool:
        """Whether there are entries that are not written."""
        return bool(self._pending)

    def flush(self) -> bytes:
        """Hand what is not written to the operating system, and return it. An `OSError` leaves it
        to the next call."""
        self.open()
        assert self._file is not None
        # From where the last whole entry ended: a write that failed may have left a part.
        self._file.seek(self.length)
        self._file.truncate()
        left = memoryview(self._pending)
        while left:
            left = left[self._file.write(left) :]
        written, self._pending = self._pending, b""
        self.length += len(written)
        return written

    def sync(self) -> None:
        """Wait until what is written is on the disk."""
        self.open()
        assert self._file is not None
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file, without what is not written."""
        if self._file is not None:
            self._file.close()
            self._file = None

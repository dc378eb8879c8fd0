"""`tensorboard/`: one event file, which TensorBoard reads while it grows.

Events are written here, one an iteration with all its numbers, and not by tensorboardX's writer:
that one has a thread, in which an error of the disk is lost and after which it waits for ever.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from pathlib import Path
from typing import Any

from surefoot.common.files.append_only import AppendOnlyFile
from surefoot.common.files.regular_file import check_folder
from surefoot.runs.loggers.base import Entry
from surefoot.runs.loggers.tags import Tags


class Events:
    """The event file of a run."""

    def __init__(self, folder: Path) -> None:
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self.path = folder
        self._tags = Tags()
        now = time.time()
        name = f"events.out.tfevents.{now:.0f}.{socket.gethostname()}.{os.getpid()}"
        self._file = AppendOnlyFile(folder / name)
        self._begun = False
        self._file.add(_record(Event(wall_time=now, file_version="brain.Event:2")))
        # A TensorBoard that has read events of before forgets them.
        start = SessionLog(status=SessionLog.START)
        self._file.add(_record(Event(wall_time=now, step=0, session_log=start)))

    def write(self, entry: Entry) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        values = [
            Summary.Value(tag=tag, simple_value=value) for tag, value in self._tags(entry).items()
        ]
        event = Event(wall_time=entry.time, step=entry.row["steps"], summary=Summary(value=values))
        self._file.add(_record(event))
        self._flush()

    def _flush(self) -> None:
        if not self._begun:
            check_folder(self.path)
            self.path.mkdir(parents=True, exist_ok=True)
            # Those of a process before: their events are written again.
            for old in self.path.glob("events.out.tfevents.*"):
                old.unlink()
            self._begun = True
        self._file.flush()

    def close(self) -> None:
        try:
            if self._file.waiting:
                self._flush()
        finally:
            self._file.close()


def _record(event: Any) -> bytes:
    """An event as a record of an event file: its length and its bytes, each with a checksum."""
    from tensorboardX.record_writer import masked_crc32c

    data = event.SerializeToString()
    header = struct.pack("<Q", len(data))
    checks = [struct.pack("<I", masked_crc32c(part)) for part in (header, data)]
    return header + checks[0] + data + checks[1]


def make(folder: Path, config: dict[str, Any]) -> Events:
    """The events of a run's folder."""
    return Events(folder / "tensorboard")

"""One end of a line between two processes, on which whole messages go back and forth, one at a
time. A call of the operating system each, where multiprocessing's connections take three."""

from __future__ import annotations

import socket

_HEADER = 8
_CHUNK = 2**16


class Channel:
    """Sends and receives bytes on a connected socket."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._received = bytearray()

    def send(self, message: bytes) -> None:
        """Send a message. Raises OSError if the other end was closed."""
        self._socket.settimeout(None)
        self._socket.sendall(len(message).to_bytes(_HEADER, "little") + message)

    def receive(self, seconds: float | None) -> memoryview:
        """The message that comes within that time, or whenever it comes. Raises TimeoutError, after
        which the same message may still be received; EOFError or another OSError if the other end
        was closed."""
        self._socket.settimeout(seconds)
        received = self._received
        size = _HEADER
        while len(received) < size:
            chunk = self._socket.recv(_CHUNK)
            if not chunk:
                raise EOFError("the other end was closed")
            received += chunk
            if len(received) >= _HEADER:
                size = _HEADER + int.from_bytes(received[:_HEADER], "little")
        self._received = bytearray()
        return memoryview(received)[_HEADER:]

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

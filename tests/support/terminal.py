"""A terminal of a given size, and what is on its screen."""

import contextlib
import fcntl
import os
import pty
import struct
import termios
import threading

import pyte

#: Lines of the screen.
HEIGHT = 24


class Terminal:
    """A pseudo-terminal. What is written to `slave` is on the screen."""

    def __init__(self, width):
        self._screen = pyte.Screen(width, HEIGHT)
        self._stream = pyte.ByteStream(self._screen)
        self._master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, width, 0, 0))
        self.seen = []
        """The screen's lines, whenever the cursor went to the beginning of one."""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        # At the end Linux has an error where others have nothing.
        with contextlib.suppress(OSError):
            while written := os.read(self._master, 2**16):
                first, *others = written.split(b"\r")
                self._stream.feed(first)
                for part in others:
                    self.seen.append(self.lines())
                    self._stream.feed(b"\r" + part)

    def lines(self):
        """The lines that are not empty."""
        return [text for line in self._screen.display if (text := line.rstrip())]

    def close(self):
        """Read what was written, to its end."""
        os.close(self.slave)
        self._reader.join()
        os.close(self._master)


@contextlib.contextmanager
def terminal(width):
    """A terminal that is read to its end when the context ends."""
    made = Terminal(width)
    try:
        yield made
    finally:
        made.close()

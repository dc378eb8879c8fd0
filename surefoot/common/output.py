"""Standard output and error that end nothing.

What is printed is a remark on work, and the work goes on where the remark cannot be made.
Characters that the stream's encoding lacks are spelled in ASCII. From the first write that fails
on (a closed pipe, a full disk, a terminal that is gone) everything is dropped, and the failure is
kept.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

_SPELLED = {
    "·": "|",
    "…": "...",
    "–": "-",
    "—": "-",
    "−": "-",
    "─": "-",
    "━": "-",
    "±": "+-",
    "×": "x",
    "→": "->",
    "°": " deg",
    "½": "1/2",
    "¹": "^1",
    "²": "^2",
    "‖": "||",
    "√": "sqrt ",
    "∇": "grad ",
    "Â": "A",
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "Δ": "Delta",
    "ε": "epsilon",
    "θ": "theta",
    "λ": "lambda",
    "π": "pi",
    "σ": "sigma",
    **dict(zip("▁▂▃▄▅▆▇█", "_.-=+*##", strict=True)),
}


def _spell(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(_SPELLED.get(character, "?") for character in lacking), error.end


codecs.register_error("surefoot.spell", _spell)


class Output:
    """A text stream in place of another, or of none, that can always be written."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.failure: OSError | None = None
        """Why the stream can be written no more."""

    def write(self, text: str) -> int:
        """Write what can be written."""
        self._try(lambda stream: stream.write(_encodable(text, stream)))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of them."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Pass on what was written."""
        self._try(lambda stream: stream.flush())

    def _try(self, do: Callable[[TextIO], object]) -> None:
        if self._stream is None or self.failure is not None:
            return
        try:
            do(self._stream)
        except OSError as error:
            self.failure = error
        except ValueError:
            if not self._stream.closed:
                raise
            self.failure = OSError(errno.EBADF, os.strerror(errno.EBADF))

    def end(self) -> None:
        """Flush. Where that fails, the interpreter would try once more at its end, and complain:
        what is left is sent nowhere."""
        self.flush()
        if self.failure is None or self._stream is None:
            return
        with contextlib.suppress(OSError, ValueError), contextlib.ExitStack() as closing:
            number = self._stream.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            closing.callback(os.close, nowhere)
            where = os.dup(number)
            closing.callback(os.close, where)
            os.dup2(nowhere, number)
            closing.callback(os.dup2, where, number)
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _encodable(text: str, stream: TextIO) -> str:
    encoding = getattr(stream, "encoding", None)
    if encoding is None:
        return text
    try:
        text.encode(encoding, getattr(stream, "errors", None) or "strict")
    except UnicodeEncodeError:
        return text.encode(encoding, "surefoot.spell").decode(encoding)
    return text


@contextlib.contextmanager
def tolerant() -> Iterator[Output]:
    """Standard output, while it and standard error are `Output`s."""
    before = sys.stdout, sys.stderr
    out, err = Output(sys.stdout), Output(sys.stderr)
    replaced: Any = out, err
    sys.stdout, sys.stderr = replaced
    try:
        yield out
    finally:
        sys.stdout, sys.stderr = before
        out.end()
        err.end()

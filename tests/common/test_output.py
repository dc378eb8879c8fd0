"""What is printed ends nothing: any text to any encoding, and to streams that cannot be written."""

import contextlib
import errno
import io
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.common.output import Output, tolerant

ENCODINGS = ["ascii", "latin-1", "cp1252", "cp437", "utf-8", "utf-16", "shift_jis"]


def printed(text, encoding):
    written = io.BytesIO()
    stream = Output(io.TextIOWrapper(written, encoding=encoding))
    print(text, file=stream, flush=True)
    assert stream.failure is None
    return written.getvalue().decode(encoding)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.text(st.characters()), st.sampled_from(ENCODINGS))
def test_any_text_can_be_printed_in_any_encoding(text, encoding):
    shown = printed(text, encoding)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        assert shown != f"{text}\n"
    else:
        assert shown == f"{text}\n"


def test_what_an_encoding_lacks_is_spelled():
    text = "1 · 2 ± 3 → 4 – 5 … −6 σ ▁▄█ 漢"
    assert printed(text, "ascii") == "1 | 2 +- 3 -> 4 - 5 ... -6 sigma _=# ?\n"
    assert printed(text, "latin-1").startswith("1 · 2 ± 3 -> 4 - 5 ... ")
    assert printed(text, "utf-8") == f"{text}\n"


def test_a_name_that_is_no_utf_8_is_printed_nonetheless():
    assert printed("run-\udcff", "utf-8") == "run-?\n"


class Failing(io.StringIO):
    """Takes some writes, and fails from then on."""

    def __init__(self, takes, error):
        super().__init__()
        self._left, self._error = takes, error

    def write(self, text):
        if self._left == 0:
            raise self._error
        self._left -= 1
        return super().write(text)


@pytest.mark.parametrize("error", [errno.EPIPE, errno.ENOSPC, errno.EIO])
def test_from_the_first_failure_on_everything_is_dropped(error):
    inner = Failing(1, OSError(error, "no"))
    stream = Output(inner)
    stream.writelines(["a", "b"])
    inner._left = -1
    print("c", file=stream, flush=True)
    assert inner.getvalue() == "a"
    assert stream.failure.errno == error


def test_a_closed_stream_and_none_at_all_take_everything():
    closed = io.StringIO()
    closed.close()
    stream = Output(closed)
    print("a", file=stream, flush=True)
    assert stream.failure.errno == errno.EBADF
    print("a", file=Output(None), flush=True)


def test_another_mistake_is_not_hidden():
    with pytest.raises(ValueError, match="mine"):
        Output(Failing(0, ValueError("mine"))).write("a")
    with pytest.raises(TypeError):
        Output(io.StringIO()).write(1)


def test_the_streams_are_put_back():
    before = sys.stdout, sys.stderr
    with contextlib.suppress(KeyError), tolerant() as out:
        assert sys.stdout is out
        assert isinstance(sys.stderr, Output)
        raise KeyError
    assert (sys.stdout, sys.stderr) == before

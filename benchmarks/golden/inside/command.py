"""The checkout's command line, called in this process by the entry point that its `pyproject.toml`
names."""

from __future__ import annotations

import contextlib
import io
import os
import pkgutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import surefoot

CHECKOUT = Path(surefoot.__file__).parents[1]
#: Of the terminal, for help and tables.
COLUMNS = 120


class Said(NamedTuple):
    """How a command ended."""

    code: int
    output: str
    """Standard output."""
    errors: str


def entry() -> Callable[[], int]:
    """The function that the command `surefoot` calls."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    function: Callable[[], int] = pkgutil.resolve_name(project["scripts"]["surefoot"])
    return function


def call(*arguments: str) -> Said:
    """Run `surefoot ARGUMENTS`."""
    # With an encoding, as a terminal has: without one, boxes are drawn of other characters.
    output, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    before, sys.argv = sys.argv, ["surefoot", *arguments]
    os.environ["COLUMNS"] = str(COLUMNS)
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            code = entry()()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.argv = before
    texts = (stream.buffer.getvalue().decode() for stream in (output, errors))
    return Said(code, *texts)


def done(*arguments: str) -> str:
    """The same for a command that must not fail: its standard output. Raises `RuntimeError`."""
    said = call(*arguments)
    if said.code:
        raise RuntimeError(f"surefoot {' '.join(arguments)}: exit code {said.code}\n{said.errors}")
    return said.output

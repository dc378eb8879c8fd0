"""Commands in messages as they can be typed here.

Messages name the command `surefoot`, and `pip`. Where the program was not found on the PATH, as
that of a virtual environment that is not activated, they are shown with the path by which it was
called.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys

# A command stands in quotes, or in parentheses; 'surefoot[extra]' is a package.
_PROGRAM = re.compile(r"(?<=['(])surefoot (?=[a-z])")
_PIP = re.compile(r"(?<![\w/.-])pip install (?=')")


def runnable(text: str) -> str:
    """The text with its commands as this process was called."""
    return _PIP.sub(f"{_pip()} install ", _PROGRAM.sub(f"{program()} ", text))


def program() -> str:
    """What starts this program: `surefoot` where the PATH leads to it, otherwise the path by which
    it was called, or `python -m surefoot.cli` where it was."""
    called = sys.argv[0]
    name, above = os.path.basename(called), os.path.basename(os.path.dirname(called))
    if name == "__main__.py" and above == "cli":
        return f"{_python()} -m surefoot.cli"
    if name not in ("surefoot", "surefoot.exe") or _is_found("surefoot", called):
        return "surefoot"
    return shlex.quote(called)


def _python() -> str:
    return "python" if _is_found("python", sys.executable) else shlex.quote(sys.executable)


def _pip() -> str:
    beside = os.path.join(os.path.dirname(sys.executable), "pip")
    return "pip" if _is_found("pip", beside) else f"{_python()} -m pip"


def _is_found(name: str, path: str) -> bool:
    """Whether the PATH leads to that file under this name. Links are not followed: the Python of a
    virtual environment is a link to another one's."""
    found = shutil.which(name)
    return found is not None and os.path.abspath(found) == os.path.abspath(path)

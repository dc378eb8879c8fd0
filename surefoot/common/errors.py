"""Exceptions that surefoot reports in one line, or that end a run.

A `UsageError` is a single line that names the value, what is accepted, and how to fix it; the
command line exits with code 2. A `TrainingError` says why a run cannot go on, and a
`FailedEnvironmentError` which environment failed, and how; the exit code is 1. Anything else that
is raised is a defect of the library, or of an environment that lives in this process, and keeps its
traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from surefoot.common.printable import one_line, printable


class UsageError(Exception):
    """A mistake that the caller can fix."""

    def __str__(self) -> str:
        # Names of folders and what their files say may be of another hand.
        return one_line(super().__str__())


class TrainingError(Exception):
    """A run that cannot go on, through no mistake in how it was started. Its message says where it
    began."""

    def __str__(self) -> str:
        return printable(super().__str__())


class FailedEnvironmentError(TrainingError):
    """A defect of an environment in a worker process: its number, seed, last action, and traceback
    there."""


class Notice(RuntimeWarning):
    """What a user should know and what ends nothing. The command line prints it as one line."""


def closest(name: str, accepted: Iterable[str]) -> str:
    """' Did you mean X?' for the accepted names that begin so, if they are few, or the nearest one;
    nothing when none is near."""
    names = {candidate.lower(): candidate for candidate in accepted}
    meant = [candidate for key, candidate in names.items() if name and key.startswith(name.lower())]
    if not 1 <= len(meant) <= 5:
        near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
        meant = [names[key] for key in near]
    return f" Did you mean {' or '.join(map(repr, meant))}?" if meant else ""


def in_short(value: Any) -> str:
    """The value in one line of at most 60 characters, to be named in a message."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # Of another's object: what it is must be said all the same.
        text = f"a {type(value).__name__}"
    return f"{text[:57]}…" if len(text) > 60 else text

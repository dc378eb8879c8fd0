"""The exceptions that are told in one line.

A `UsageError` is a user's mistake: its message names the value, what is accepted, and how to mend
it. The command line prints it and exits with code 2. A `TrainingError` ends a run. Anything else
that is raised is a defect of the library, or of an environment, and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UsageError(Exception):
    """A mistake that the caller can mend."""


class TrainingError(Exception):
    """A run that cannot go on, through no mistake in how it was started. Its message says where it
    began; the command line prints it and exits with code 1."""


def closest(name: str, accepted: Iterable[str]) -> str:
    """' Did you mean X?' for the nearest accepted name, or nothing when none is near."""
    names = {candidate.lower(): candidate for candidate in accepted}
    match = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    return f" Did you mean {names[match[0]]!r}?" if match else ""

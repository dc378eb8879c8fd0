"""What a planted fault is: one small edit of one file of the package."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """An edit that makes the package wrong and that its tests should notice."""

    name: str
    """Unique, in kebab case."""
    file: str
    """In the package: `core/local_model.py`. Its first folder is the room."""
    old: str
    """Occurs exactly once in the file."""
    new: str
    """What takes its place."""
    why: str
    """What is wrong, and what it would cost a user."""
    tests: tuple[str, ...]
    """What is to run first: `test_kfac.py`, or `test_kfac.py::test_NAME`, in whatever folder of
    `tests` the file lies."""

    @property
    def room(self) -> str:
        """The folder of the package that it is in."""
        return self.file.partition("/")[0]

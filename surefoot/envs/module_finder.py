"""Modules in the working folder, for `MODULE:NAME` and for nobody else.

With the folder on `sys.path`, every import of the process would look there first, today and later:
for a package that is not installed, or that another library takes for optional. Here it is found by
what was named, and by its own code, which may import its neighbors whenever it runs. No JAX is
imported, so that a worker process can use it.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Iterable, Sequence
from types import FrameType, ModuleType
from typing import Any

import cloudpickle


class ModuleFinder(importlib.abc.MetaPathFinder):
    """Finds modules of one folder."""

    def __init__(self, folder: str, named: Iterable[str] = ()) -> None:
        self.folder = folder
        self.named = set(named)
        """Modules that anybody may import: those that `MODULE:NAME` names."""
        self._found: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if path is not None or not (fullname in self.named or self._asked_from_within()):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, [self.folder])
        if spec is not None:
            self._found.add(fullname)
        return spec

    def _asked_from_within(self) -> bool:
        """Whether the import stands in a module that was found here. Other files of the folder may
        be those of packages that are installed below it."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and _package(frame) == "importlib":
            frame = frame.f_back
        return frame is not None and _package(frame) in self._found


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]


def find_here(module: str) -> None:
    """Have a module, or the package that it is in, looked for in the working folder first."""
    folder, name = os.getcwd(), module.partition(".")[0]
    # What was made a moment ago is there, too.
    importlib.invalidate_caches()
    for finder in _finders():
        if finder.folder == folder:
            finder.named.add(name)
            return
    sys.meta_path.insert(0, ModuleFinder(folder, [name]))


def pickled(made: Any) -> bytes:
    """What makes an environment, or has it in it, as bytes, by cloudpickle, for a process that then
    finds modules where this one does."""
    known = [(finder.folder, sorted(finder.named)) for finder in _finders()]
    program: bytes = cloudpickle.dumps((known, cloudpickle.dumps(made)))
    return program


def unpickled(program: bytes) -> Any:
    """What `pickled` was given."""
    known, inner = cloudpickle.loads(program)
    sys.meta_path[:0] = [ModuleFinder(*one) for one in known]
    return cloudpickle.loads(inner)


def _finders() -> list[ModuleFinder]:
    return [finder for finder in sys.meta_path if isinstance(finder, ModuleFinder)]

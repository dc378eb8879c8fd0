"""A copy of the package with one fault in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.planted_faults.fault import Fault
from surefoot.common.errors import UsageError

PACKAGE = "surefoot"


def edited(source: str, fault: Fault) -> str:
    """A file's text with the fault. Raises `UsageError` unless what it replaces occurs once."""
    count = source.count(fault.old)
    if count != 1:
        raise UsageError(
            f"the text that {fault.name} replaces occurs {count} times in {fault.file}; accepted "
            "is once: fix the fault"
        )
    return source.replace(fault.old, fault.new)


def plant(checkout: Path, folder: Path, fault: Fault | None) -> None:
    """Copy the checkout's package into the folder, with the fault if one is given."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(checkout / PACKAGE, folder / PACKAGE, ignore=ignored)
    if fault is not None:
        path = folder / PACKAGE / fault.file
        path.write_text(edited(path.read_text(encoding="utf-8"), fault), encoding="utf-8")

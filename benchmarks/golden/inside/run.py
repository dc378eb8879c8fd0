"""Makes cases in the process of a checkout, whose surefoot is the first that can be imported.

    python run.py CHECKOUT FOLDER AFTER GROUP/NAME ...

writes `FOLDER/GROUP/NAME.json` for each. AFTER is the folder whose stopped runs are resumed. The
exit code is 1 if a case failed, and 2 if another surefoot than the checkout's was imported.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cases
from command import CHECKOUT
from helps import helped


def main(checkout: Path, folder: Path, after: Path, names: list[str]) -> int:
    """Make them one after the other; the exit code."""
    if checkout != CHECKOUT:
        print(f"imported surefoot of {CHECKOUT} and not of {checkout}", file=sys.stderr)
        return 2
    failed = False
    for name in names:
        group, _, case = name.partition("/")
        begin = time.perf_counter()
        try:
            with _in_empty_folder():
                made = _maker(group, case, folder, after)()
            write(folder / group / f"{case}.json", made)
            print(f"{name}: {time.perf_counter() - begin:.1f} s", flush=True)
        except Exception:
            failed = True
            traceback.print_exc()
            print(f"{name}: failed", flush=True)
        _forget_programs()
    return int(failed)


def _maker(group: str, name: str, folder: Path, after: Path) -> Callable[[], dict[str, Any]]:
    """What makes a case. What computes is imported for what computes alone: help needs no JAX."""
    match group:
        case "options":
            return lambda: helped(name)
        case "runs" | "cheetah" | "variants":
            from training import trained

            return lambda: trained(getattr(cases, group.upper())[name])
        case "reports":
            from pages import reported

            return lambda: reported(name)
        case "exports":
            from exports import exported

            return lambda: exported(name)
        case "stopped":
            from stopping import stopped

            return lambda: stopped(name, folder / group / name)
        case "resumed":
            from stopping import resumed

            return lambda: resumed(name, after / "stopped" / name)
        case _:
            raise ValueError(f"no group {group!r}")


@contextlib.contextmanager
def _in_empty_folder() -> Iterator[None]:
    """Names of files are relative, so that they are the same everywhere."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        yield


def _forget_programs() -> None:
    """A process that holds thousands of compiled programs has mapped more memory regions than the
    system allows one."""
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
        gc.collect()


def write(path: Path, made: dict[str, Any]) -> None:
    """The file is there whole or not at all. Python writes a number so that it is read again bit
    for bit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")
    os.replace(part, path)


if __name__ == "__main__":
    given, *asked = sys.argv[1:4], *sys.argv[4:]
    sys.exit(main(*(Path(path).resolve() for path in given), asked))

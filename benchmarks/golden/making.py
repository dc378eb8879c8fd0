"""The golden files of a checkout: what is missing is made by processes that run its surefoot.

A process makes several cases, for importing JAX takes seconds; whatever is there already is left
alone, so that the same command goes on where it was stopped.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import surefoot as sf
from benchmarks.golden.inside.cases import GROUPS

ROOT = Path(__file__).parents[2]
INSIDE = Path(__file__).parent / "inside"
#: What all files of a folder have in common.
ABOUT = "about.json"
#: Cases of one process: a recipe's, of `runs`.
_AT_ONCE = 8
_VERSIONS = "jax jaxlib equinox optax lineax numpy scipy gymnasium mujoco tyro plotly onnxruntime"


def make(folder: Path, checkout: Path, after: Path, groups: Sequence[str]) -> int:
    """Make what is missing of these groups. The exit code: 1 if something failed."""
    checkout = checkout.resolve()
    if not (checkout / "surefoot" / "__init__.py").exists():
        raise sf.UsageError(f"--checkout {str(checkout)!r}; accepted is a checkout of surefoot")
    folder.mkdir(parents=True, exist_ok=True)
    _check_the_same(folder, about(checkout))
    codes = []
    for names in _missing(folder, groups):
        codes.append(_process(checkout, folder, after, names))
        if codes[-1] == 2:
            break
    return max(codes, default=0)


def about(checkout: Path) -> dict[str, Any]:
    """What the files depend on: the checkout's code, that of the cases, versions, and machine."""
    return {
        "surefoot": _digest([checkout / "surefoot", checkout / "pyproject.toml"]),
        "cases": _digest([INSIDE, ROOT / "tests" / "golden"]),
        "machine": {
            "processor": _processor(),
            "python": platform.python_version(),
            **{name: _version(name) for name in _VERSIONS.split()},
        },
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _check_the_same(folder: Path, now: dict[str, Any]) -> None:
    """Keep what the files are made of, where it was not kept before. Raises `UsageError` where
    files of something else lie there."""
    path = folder / ABOUT
    if not path.exists():
        path.write_text(json.dumps(now, indent=1) + "\n")
        return
    before = json.loads(path.read_text())
    changed = ", ".join(key for key in now if before.get(key) != now[key])
    if changed:
        raise sf.UsageError(
            f"{folder} was made with another {changed}; accepted is a new folder, or the same again"
        )


def _missing(folder: Path, groups: Sequence[str]) -> Iterator[list[str]]:
    for group in GROUPS:
        if group in groups:
            names = [f"{group}/{name}" for name in GROUPS[group]]
            names = [name for name in names if not (folder / f"{name}.json").exists()]
            for begin in range(0, len(names), _AT_ONCE):
                yield names[begin : begin + _AT_ONCE]


def _process(checkout: Path, folder: Path, after: Path, names: list[str]) -> int:
    command = [sys.executable, "-P", str(INSIDE / "run.py")]
    paths = [str(path.resolve()) for path in (checkout, folder, after)]
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            [*command, *paths, *names], cwd=scratch, env=_environment(checkout, folder), check=False
        )
    if done.returncode not in (0, 1, 2):
        print(f"exit code {done.returncode} while making {', '.join(names)}", file=sys.stderr)
        return 1
    return done.returncode


def _environment(checkout: Path, folder: Path) -> dict[str, str]:
    """All that a process inherits. Compiled programs are kept beside the folder."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "PYTHONPATH": os.pathsep.join([str(checkout), str(INSIDE)]),
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "SUREFOOT_CACHE": os.environ.get("SUREFOOT_CACHE", str(folder.resolve().parent / "cache")),
    }


def _digest(paths: Sequence[Path]) -> str:
    """Of the files below, their names included."""
    digest = hashlib.sha256()
    for top in paths:
        files = [top] if top.is_file() else sorted(x for x in top.rglob("*") if x.is_file())
        for path in files:
            if "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(top.parent)}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _processor() -> str:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(x for x in lines if x.startswith("model name")).partition(":")[2].strip()
    return platform.processor()

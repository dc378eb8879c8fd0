"""Arrays and a manifest in a folder, written whole or not at all.

Arrays lie in one safetensors file and everything else in `manifest.json`, which holds the SHA-256
of both. Nothing that is read can run code. A folder is written beside its place and renamed
into it, so that what is there is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from surefoot.common.errors import UsageError
from surefoot.common.files.atomic import sync
from surefoot.common.files.json_reading import document
from surefoot.common.files.regular_file import open_to_read

_ARRAYS = "arrays.safetensors"
_MANIFEST = "manifest.json"
# Before they are read, nothing says that they are whole.
_LARGEST_ARRAYS = 8 * 2**30


def save(folder: Path, arrays: dict[str, np.ndarray], manifest: dict[str, Any]) -> None:
    """Write the folder, replacing one that this function wrote. Raises `UsageError` if something
    else is in its place, and `OSError` if it cannot be written; what was there then still is."""
    if folder.exists() and not (folder / _MANIFEST).is_file():
        raise UsageError(
            f"{folder} exists and is no saved agent; accepted is a new path or a saved agent's"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        data = safetensors.numpy.save({k: np.asarray(v, order="C") for k, v in arrays.items()})
        text = json.dumps(seal(manifest, data), indent=2)
        _write(beside / _ARRAYS, data)
        _write(beside / _MANIFEST, text.encode())
        beside.chmod(0o755)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
            folder.rename(old / "old")
            try:
                beside.rename(folder)
            except BaseException:
                (old / "old").rename(folder)
                raise
            finally:
                shutil.rmtree(old)
        else:
            beside.rename(folder)
        sync(folder.parent)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def seal(manifest: dict[str, Any], data: bytes) -> dict[str, Any]:
    """The manifest with the SHA-256 of the arrays' bytes and of its own canonical text."""
    content = {key: value for key, value in manifest.items() if key != "sha256"}
    text = json.dumps(content, sort_keys=True).encode()
    digests = {
        name: hashlib.sha256(part).hexdigest()
        for name, part in ((_ARRAYS, data), (_MANIFEST, text))
    }
    return {**content, "sha256": digests}


def is_one(folder: Path) -> bool:
    """Whether arrays were saved there."""
    return (folder / _MANIFEST).is_file()


def load(
    folder: Path, *, what: str = "saved agent"
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(arrays, manifest) of a saved folder. Raises `UsageError` if it is none, or is damaged."""
    path = folder / _MANIFEST
    if not path.is_file():
        raise UsageError(
            f"{folder} is no {what}: it has no {_MANIFEST}; accepted is a folder that "
            "'surefoot train' or agent.save wrote"
        )
    try:
        manifest = document(path)
        with open_to_read(folder / _ARRAYS) as file:
            if os.fstat(file.fileno()).st_size > _LARGEST_ARRAYS:
                raise ValueError(f"its {_ARRAYS} is too large for one")
            data = file.read(_LARGEST_ARRAYS)
        if seal(manifest, data)["sha256"] != manifest["sha256"]:
            raise ValueError("its files do not match the SHA-256 in the manifest")
        return safetensors.numpy.load(data), manifest
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        safetensors.SafetensorError,
    ) as error:
        raise UsageError(f"{folder} is no intact {what}: {error!r}") from None


def manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a saved folder alone, without a look at whether the folder is intact. Raises
    `UsageError` where it cannot be read."""
    try:
        return document(folder / _MANIFEST)
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} has no readable {_MANIFEST}: {error!r}") from None


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())

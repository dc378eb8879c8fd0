"""Demonstrations in one safetensors file, written whole or not at all.

The arrays lie under their names, a part of a tree under the name with how to get at it,
"action['kind']"; the file's metadata hold the format, its version, the spaces as JSON, and the
environment. Nothing that is read can run code.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy

from surefoot.agents.demonstrations.demonstrations import Demonstrations, fields_of
from surefoot.agents.demonstrations.minari import read_minari
from surefoot.common.errors import UsageError, in_short
from surefoot.common.files import atomic
from surefoot.envs.spaces.space_json import space_from_json, space_to_json

_FORMAT = "surefoot demonstrations"
#: Files of observations and actions that are one array each are of version 1.
_FORMAT_VERSION = 2
_MINARI = "minari:"
_ACCEPTED = (
    "accepted are a file that 'surefoot record' or demonstrations.save wrote, or minari:DATASET_ID"
)


def save(demonstrations: Demonstrations, path: str | Path) -> None:
    """Write the file. Raises `UsageError` if something is in its place, or it cannot be made."""
    path = check_new_file(path)
    if not isinstance(demonstrations, Demonstrations):
        raise UsageError(
            f"demonstrations is {in_short(demonstrations)}; accepted are Demonstrations, which "
            "Agent.record returns"
        )
    arrays = {
        name: array.copy("C")
        for kind in fields_of(demonstrations.observation_space, demonstrations.action_space)
        for name, array in _named(kind, getattr(demonstrations, kind)).items()
    }
    plain = {"obs", "action"} <= arrays.keys()
    metadata = {
        "format": _FORMAT,
        "format_version": str(1 if plain else _FORMAT_VERSION),
        "observation_space": json.dumps(space_to_json(demonstrations.observation_space)),
        "action_space": json.dumps(space_to_json(demonstrations.action_space)),
    }
    if demonstrations.environment is not None:
        metadata["environment"] = demonstrations.environment
    data = safetensors.numpy.save(arrays, metadata)
    try:
        atomic.write_new(path, data)
    except OSError as error:
        raise UsageError(f"{path} cannot be made: {error.strerror}; pass another path") from None


def check_new_file(path: str | Path) -> Path:
    """The path, if nothing is there yet and a file can be made there; `UsageError` otherwise."""
    return atomic.check_new_file(path, purpose="the demonstrations")


def load(source: str | Path) -> Demonstrations:
    """Demonstrations from a file that `save` wrote, or from a Minari dataset, `minari:DATASET_ID`.
    Raises `UsageError` if there are none, or they are not intact."""
    if isinstance(source, str) and source.startswith(_MINARI):
        return read_minari(source.removeprefix(_MINARI))
    try:
        return _read(Path(source))
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from None
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        AssertionError,
        OverflowError,
        RecursionError,
        safetensors.SafetensorError,
    ) as error:
        raise UsageError(
            f"{source}: no intact file of demonstrations ({error!r}); {_ACCEPTED}"
        ) from None


def _read(path: Path) -> Demonstrations:
    if not path.is_file():
        raise UsageError(f"{'a folder' if path.is_dir() else 'no such file'}; {_ACCEPTED}")
    with safetensors.safe_open(path, framework="numpy") as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != _FORMAT:
            raise UsageError(f"its format is {metadata.get('format')!r}; {_ACCEPTED}")
        version = int(metadata["format_version"])
        if version > _FORMAT_VERSION:
            raise UsageError(
                f"its format version is {version}; accepted is up to {_FORMAT_VERSION}: "
                "upgrade surefoot"
            )
        observation_space, action_space = (
            space_from_json(json.loads(metadata[f"{kind}_space"]))
            for kind in ("observation", "action")
        )
        trees = {
            kind: jax.tree.map(file.get_tensor, _names(kind, template))
            for kind, template in fields_of(observation_space, action_space).items()
        }
        return Demonstrations(
            **trees,
            observation_space=observation_space,
            action_space=action_space,
            environment=metadata.get("environment"),
        )


def _names(kind: str, tree: Any) -> Any:
    """The tree with the arrays' names in the file in their places."""
    return jax.tree_util.tree_map_with_path(lambda path, _: kind + jax.tree_util.keystr(path), tree)


def _named(kind: str, tree: Any) -> dict[str, np.ndarray]:
    """A tree's arrays under these names."""
    return dict(zip(jax.tree.leaves(_names(kind, tree)), jax.tree.leaves(tree), strict=True))

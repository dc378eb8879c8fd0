"""`config.json`: what a run is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from surefoot.common.errors import UsageError
from surefoot.common.files.json_reading import document, fields, finite

NAME = "config.json"
#: What was done before there was an option, where that is not the option's default: a
#: configuration that lacks the option was written then.
BEFORE = {"line_search": "decay", "stagger_starts": False, "action_masks": "none"}


def with_before(defaults: dict[str, Any]) -> dict[str, Any]:
    """The options' defaults, for a configuration that lacks some of them."""
    return {**defaults, **{name: value for name, value in BEFORE.items() if name in defaults}}


def read(folder: Path) -> dict[str, Any]:
    """The configuration in a run's folder, whatever it holds. Raises `UsageError` where there is
    none."""
    path = folder / NAME
    try:
        return document(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{error} ({path}); accepted is what 'surefoot train' wrote") from None


def read_identified(folder: Path) -> dict[str, Any]:
    """Like `read`, but requires the names of method and environment, and tables, which may be
    missing, of hyperparameters, setup and versions. Raises `UsageError` if they are not there."""
    path, config = folder / NAME, read(folder)
    if not all(isinstance(config.get(key), str) for key in ("algorithm", "environment")):
        raise UsageError(f"{path} names no algorithm and environment; it is no run's")
    for key in ("hyperparameters", "setup", "versions"):
        if not isinstance(config.setdefault(key, {}), dict):
            raise UsageError(f"{key} in {path} is no table of names; it is no run's")
    return config


def read_partial(folder: Path) -> dict[str, Any]:
    """The configuration of a run that may just be beginning, with method, environment, seed and
    hyperparameters of their kinds: "?" stands for a name or a seed of another one. Raises `OSError`
    where the file cannot be read, and `ValueError` where it does not say how many steps the run is
    to take."""
    config = document(folder / NAME)
    settings = fields(config.get("setup"))
    if finite(settings.get("steps")) is None:
        raise ValueError("no run's")

    def told(value: Any, kind: type) -> Any:
        return value if isinstance(value, kind) else "?"

    return {
        **config,
        "algorithm": told(config.get("algorithm"), str),
        "environment": told(config.get("environment"), str),
        "hyperparameters": fields(config.get("hyperparameters")),
        "setup": {**settings, "seed": told(settings.get("seed"), int)},
    }

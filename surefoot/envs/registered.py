"""Gymnasium's registered environments, made one at a time. No JAX is imported, so that a worker
process can use it."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
from gymnasium.envs.registration import EnvSpec

from surefoot.common.errors import in_short
from surefoot.common.files.json_reading import fields


def make_registered(spec: EnvSpec, **options: Any) -> gymnasium.Env:
    """The environment, with options of `gymnasium.make`; by what is registered and not by its name,
    which another process may not know."""
    quiet_mujoco(spec)
    return gymnasium.make(spec, **options)


class MakeCall(NamedTuple):
    """A call of `gymnasium.make` as plain data, which can be kept in a file."""

    env_id: str
    options: dict[str, Any]

    @classmethod
    def of(cls, source: Any) -> MakeCall | None:
        """What a Gymnasium id, or `functools.partial(gymnasium.make, ID, option=value)`, calls;
        `None` for everything else, and where an option is no JSON."""
        if isinstance(source, str):
            return cls(source, {})
        if not isinstance(source, functools.partial) or source.func is not gymnasium.make:
            return None
        options = dict(source.keywords)
        positional = [*source.args, *([options.pop("id")] if "id" in options else [])]
        if len(positional) != 1 or not isinstance(positional[0], str) or ":" in positional[0]:
            return None
        return cls(positional[0], options) if _is_json(options) else None

    @classmethod
    def from_json(cls, told: Any) -> MakeCall | None:
        """The inverse of `to_json`; `None` for anything else. The id is one that is registered:
        no file says which module is imported."""
        told = fields(told)
        env_id, options = told.get("id"), told.get("options")
        if not isinstance(env_id, str) or ":" in env_id or not isinstance(options, dict):
            return None
        return cls(env_id, options)

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        return {"id": self.env_id, "options": self.options}

    @property
    def source(self) -> str | Callable[[], gymnasium.Env]:
        """What makes the environment: the id where there are no options."""
        if not self.options:
            return self.env_id
        return functools.partial(gymnasium.make, self.env_id, **self.options)

    def __str__(self) -> str:
        return ", ".join([self.env_id, *(f"{k}={v!r}" for k, v in self.options.items())])


def _is_json(options: dict[str, Any]) -> bool:
    try:
        again = json.loads(json.dumps(options, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return False
    return bool(repr(again) == repr(options))


def called(source: Any) -> str:
    """What something that makes environments is called in a message."""
    if isinstance(source, functools.partial) and source.func is make_registered:
        return repr(source.args[0].id)
    call = MakeCall.of(source)
    if call is not None:
        return repr(str(call))
    return str(getattr(source, "__name__", None) or in_short(source))


def quiet_mujoco(spec: EnvSpec) -> None:
    """MuJoCo says, once for every copy, that Gymnasium's own models use an attribute that will go,
    and writes it to a file in the working folder too. Nobody who trains can fix that: this one
    message is dropped, and every other becomes a Python warning."""
    if not str(spec.entry_point).startswith("gymnasium.envs.mujoco"):
        return
    import mujoco

    def handler(message: str) -> None:
        if "'settotalmass' is deprecated" not in message:
            warnings.warn(f"MuJoCo: {message.strip()}", RuntimeWarning, stacklevel=2)

    mujoco.set_mju_user_warning(handler)

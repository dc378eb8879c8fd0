"""Gymnasium's registered environments, made one at a time. No JAX is imported, so that a worker
process can use it."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec


def make_registered(spec: EnvSpec, **options: Any) -> gymnasium.Env:
    """The environment, with options of `gymnasium.make`; by what is registered and not by its name,
    which another process may not know."""
    quiet_mujoco(spec)
    return gymnasium.make(spec, **options)


def called(source: Any) -> str:
    """What something that makes environments is called in a message."""
    if isinstance(source, functools.partial) and source.func is make_registered:
        return repr(source.args[0].id)
    return repr(source) if isinstance(source, str) else getattr(source, "__name__", repr(source))


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

"""The ids of environments on the host: which there are, what they need, and what makes a game."""

from __future__ import annotations

import importlib.util
from typing import Any

import gymnasium

from surefoot.common.errors import UsageError, closest
from surefoot.envs.host.atari import (
    MakeAtari,
    Preprocessing,
    has_games,
    is_atari,
    register_games,
)


def check_env_id(env_id: str) -> str:
    """The id, if Gymnasium knows it and what it needs is installed; `UsageError` otherwise."""
    if is_atari(env_id):
        register_games(env_id)
    try:
        spec = gymnasium.spec(env_id)
    except gymnasium.error.Error as error:
        if ":" in env_id:
            raise UsageError(
                f"environment {env_id!r} is MODULE:NAME, which the command line takes; accepted in "
                "Python is what it names: import the class or function, and pass it"
            ) from None
        near = closest(env_id, list_env_ids())
        reason = "" if near else f" ({str(error).splitlines()[0]})"
        raise UsageError(
            f"environment {env_id!r} is not registered with Gymnasium{reason}; "
            f"'surefoot list envs' shows those that are, and one of your own is MODULE:NAME.{near}"
        ) from None
    for prefix, needs, install in _EXTRAS:
        if str(spec.entry_point).startswith(prefix) and importlib.util.find_spec(needs) is None:
            raise UsageError(
                f"environment {env_id!r} needs the package {needs!r}: pip install '{install}'"
            )
    return env_id


_EXTRAS = (
    ("gymnasium.envs.mujoco", "mujoco", "surefoot[mujoco]"),
    ("gymnasium.envs.box2d", "Box2D", "gymnasium[box2d]"),
)


def preprocessed(source: Any, preprocessing: Preprocessing) -> Any:
    """What makes an Atari game where `source` is the id of one; everything else as it is."""
    return MakeAtari(check_env_id(source), preprocessing) if is_atari(source) else source


def list_env_ids() -> list[str]:
    """The ids registered with Gymnasium, sorted, without those of environments that have moved
    elsewhere, which Gymnasium keeps with a function of its own that says so, and without the
    earlier names of Atari games."""
    if has_games():
        register_games("")
    gone = "gymnasium.envs"
    return sorted(
        env_id
        for env_id, spec in gymnasium.registry.items()
        if getattr(spec.entry_point, "__module__", None) != gone
        and (is_atari(env_id) or not str(spec.entry_point).startswith("ale_py"))
    )

"""What a name on the command line makes: an id that Gymnasium knows, or what a module has.

`MODULE:NAME` is a class or function of the module that makes the environment, or an id that the
module registers with Gymnasium when it is imported. Importing runs the module's code, so that such
a name is taken from the command line alone, and never from a file.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from pathlib import PurePath
from types import ModuleType
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from surefoot.common.errors import UsageError, closest
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.env_ids import check_env_id
from surefoot.envs.module_finder import find_here
from surefoot.envs.registered import make_registered


def find_env(name: str) -> str | Callable[[], Any] | DeviceEnv:
    """What `train` and others take as an environment: the id, or what a module has, a callable that
    makes an environment or a `DeviceEnv`. Raises `UsageError` where there is no such module or
    name."""
    if ":" not in name:
        return name
    module, attribute = _module(name)
    found = getattr(module, attribute, None)
    return found if isinstance(found, DeviceEnv) else _factory(name, module, attribute)


def find_factory(name: str) -> Callable[[], Any]:
    """A callable that makes the environment, without the checks that Gymnasium wraps around one.
    Raises `UsageError` for anything else."""
    if ":" in name:
        return _factory(name, *_module(name), disable_env_checker=True)
    return _registered(check_env_id(name), disable_env_checker=True)


def _registered(env_id: str, **options: Any) -> Callable[[], Any]:
    return functools.partial(make_registered, gymnasium.spec(env_id), **options)


def _module(name: str) -> tuple[ModuleType, str]:
    """(module, what is named in it). Modules are also looked for in the working folder."""
    module, _, attribute = name.partition(":")
    if module.endswith(".py"):
        dotted = ".".join(PurePath(module.removesuffix(".py")).parts)
        raise UsageError(
            f"{name!r} names a file; accepted is MODULE:NAME, here {dotted}:{attribute}"
        )
    find_here(module)
    try:
        return importlib.import_module(module), attribute
    except (Exception, SystemExit) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(
            f"module {module!r} cannot be imported ({reason}); accepted is MODULE:NAME with a "
            "module that can be imported from this folder"
        ) from error


def _factory(name: str, module: ModuleType, attribute: str, **options: Any) -> Callable[[], Any]:
    if attribute in gymnasium.registry:
        # Gymnasium imports what is named there when the environment is made.
        for named in _entry_points(gymnasium.spec(attribute)):
            find_here(named)
        return _registered(attribute, **options)
    factory: Callable[[], Any] | None = getattr(module, attribute, None)
    if not callable(factory):
        own = [key for key, x in vars(module).items() if _is_its_own(x, module)]
        near = closest(attribute, own)
        raise UsageError(
            f"{name!r} names nothing that can be called; accepted is MODULE:NAME with a class or "
            f"function of the module, or an id that it registers with Gymnasium.{near}"
        )
    return factory


def _entry_points(spec: EnvSpec) -> list[str]:
    """The modules that an id names."""
    wrappers = [wrapper.entry_point for wrapper in spec.additional_wrappers]
    named = [spec.entry_point, *wrappers]
    return [point.partition(":")[0] for point in named if isinstance(point, str)]


def _is_its_own(value: Any, module: ModuleType) -> bool:
    """Whether it can be meant by somebody who misspells a name: what a module imports is not."""
    return callable(value) and getattr(value, "__module__", None) == module.__name__

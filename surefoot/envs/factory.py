"""What a name on the command line makes: an id that Gymnasium knows, or what a module has.

`MODULE:NAME` is a class or function of the module that makes the environment, or an id that the
module registers with Gymnasium when it is imported. Importing runs the module's code, so that such
a name is taken from the command line alone, and never from a file.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any

import gymnasium

from surefoot.envs.make import check_env_id
from surefoot.envs.registered import make_registered
from surefoot.errors import UsageError, closest


def find_env(name: str) -> str | Callable[[], Any]:
    """What `train` and others take as an environment: the id, or a callable that makes what a
    module has. Raises `UsageError` where there is no such module or name."""
    return _of_module(name, {}) if ":" in name else name


def find_factory(name: str) -> Callable[[], Any]:
    """A callable that makes the environment, without the checks that Gymnasium wraps around one.
    Raises `UsageError` for anything else."""
    unchecked = {"disable_env_checker": True}
    if ":" in name:
        return _of_module(name, unchecked)
    return functools.partial(make_registered, gymnasium.spec(check_env_id(name)), **unchecked)


def _of_module(name: str, options: dict[str, Any]) -> Callable[[], Any]:
    """Modules are also looked for in the working folder."""
    module_name, _, attribute = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(
            f"module {module_name!r} cannot be imported ({reason}); accepted is MODULE:NAME with a "
            "module that can be imported from this folder"
        ) from error
    if attribute in gymnasium.registry:
        return functools.partial(make_registered, gymnasium.spec(attribute), **options)
    factory: Callable[[], Any] | None = getattr(module, attribute, None)
    if not callable(factory):
        near = closest(
            attribute, [key for key, x in vars(module).items() if _is_its_own(x, module)]
        )
        raise UsageError(
            f"{name!r} names nothing that can be called; accepted is MODULE:NAME with a class or "
            f"function of the module, or an id that it registers with Gymnasium.{near}"
        )
    return factory


def _is_its_own(value: Any, module: Any) -> bool:
    """Whether it can be meant by somebody who misspells a name: what a module imports is not."""
    return callable(value) and getattr(value, "__module__", None) == module.__name__

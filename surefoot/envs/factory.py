"""What a name on the command line makes: an id that Gymnasium knows, or module:factory."""

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


def find_factory(name: str) -> Callable[[], Any]:
    """A callable that makes the environment, without the checks that Gymnasium wraps around one.
    Modules are also looked for in the working folder. Raises `UsageError` for anything else."""
    module_name, colon, attribute = name.partition(":")
    if not colon:
        spec = gymnasium.spec(check_env_id(name))
        return functools.partial(make_registered, spec, disable_env_checker=True)
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(
            f"module {module_name!r} cannot be imported ({reason}); accepted is module:factory "
            "with a module that can be imported from this folder"
        ) from error
    factory: Callable[[], Any] | None = getattr(module, attribute, None)
    if not callable(factory):
        raise UsageError(
            f"{name!r} names nothing that can be called; accepted is module:factory with a class "
            f"or function of the module, or a Gymnasium id.{closest(attribute, vars(module))}"
        )
    return factory

"""The interface of a geometry."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
from jaxtyping import PRNGKeyArray

from surefoot.local import Local
from surefoot.types import Info, Params


class Geometry(eqx.Module):
    """Turns an objective's gradient into an ascent direction."""

    @abc.abstractmethod
    def init(self, params: Params) -> Any:
        """The state before the first step."""

    @abc.abstractmethod
    def direction(self, key: PRNGKeyArray, local: Local, state: Any) -> tuple[Params, Any, Info]:
        """(direction, next state, info). The direction has the structure of `local.grad`."""

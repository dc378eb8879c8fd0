"""The interface of a geometry."""

from __future__ import annotations

import abc
from typing import Any

from jaxtyping import PRNGKeyArray

from surefoot.common.part import Part
from surefoot.core.data.types import Info, Params
from surefoot.core.local_model import LocalModel


class Geometry(Part):
    """Turns an objective's gradient into an ascent direction."""

    @abc.abstractmethod
    def init(self, params: Params) -> Any:
        """The state before the first step."""

    @abc.abstractmethod
    def direction(
        self, key: PRNGKeyArray, local: LocalModel, state: Any
    ) -> tuple[Params, Any, Info]:
        """(direction, next state, info). The direction has the structure of `local.grad`."""

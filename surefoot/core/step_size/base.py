"""`StepSize`: how far to move along a direction."""

from __future__ import annotations

import abc
from collections.abc import Callable

from jaxtyping import Array, Float

from surefoot.common.part import Part
from surefoot.core.data.types import Info, Params
from surefoot.core.local_model import LocalModel

Schedule = Callable[[Float[Array, ""]], Float[Array, ""]]


class StepSize(Part):
    """Moves along a direction."""

    @abc.abstractmethod
    def __call__(self, local: LocalModel, direction: Params) -> tuple[Params, Info]:
        """(new parameters, info)."""

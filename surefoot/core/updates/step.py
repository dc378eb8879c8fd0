"""`Step`: one step on the whole batch, objective × geometry × step size."""

from __future__ import annotations

from typing import Any

import equinox as eqx
from jaxtyping import PRNGKeyArray

from surefoot.core.data.types import Batch, Params
from surefoot.core.geometry import Geometry
from surefoot.core.local_model import LocalModel
from surefoot.core.objectives import Objective, as_objective
from surefoot.core.step_size import StepSize
from surefoot.core.updates.base import MoveInfo, Update, UpdateInfo, measure, unless_empty


class Step(Update):
    """One step on the whole batch: objective × geometry × step size."""

    objective: Objective = eqx.field(converter=as_objective)
    geometry: Geometry
    step_size: StepSize

    def init(self, params: Params) -> Any:
        return self.geometry.init(params)

    def move(
        self, key: PRNGKeyArray, params: Params, state: Any, batch: Batch
    ) -> tuple[Params, Any, MoveInfo]:
        """The step alone, without measuring what it did. A batch without weight changes neither
        parameters nor state."""
        local = LocalModel(self.objective, params, batch)
        direction, new_state, direction_info = self.geometry.direction(key, local, state)
        new, length_info = self.step_size(local, direction)
        new, new_state = unless_empty(batch, (new, new_state), (params, state))
        return new, new_state, MoveInfo(direction_info, length_info)

    def __call__(
        self, key: PRNGKeyArray, params: Params, state: Any, batch: Batch
    ) -> tuple[Params, Any, UpdateInfo]:
        new, state, info = self.move(key, params, state, batch)
        return new, state, measure(self.objective, params, new, batch, info)

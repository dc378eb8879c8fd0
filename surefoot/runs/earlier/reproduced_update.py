"""`ReproducedUpdate`: an iteration of a run that was played again."""

from __future__ import annotations

from typing import Any, NamedTuple

from surefoot.core.data.normalization import Normalizer
from surefoot.core.data.types import Batch
from surefoot.core.networks import Policy
from surefoot.runs.folder import compare_rows


class ReproducedUpdate(NamedTuple):
    """One iteration's update of the policy."""

    method: str
    """What the run was trained by."""
    environment: str
    iteration: int
    """Counts from 0."""
    old: Policy
    """The policy before the update, which collected the batch."""
    new: Policy
    """The policy after it."""
    normalizer: Normalizer
    """What the batch was seen through when it was learned from: an iteration changes it at its
    end. `old` collected it through the same, but of the first iteration, when all observations were
    alike to it."""
    batch: Batch
    """What the policy's update learned from."""
    discount: float
    """γ."""
    clip: float | None
    """ε of the method's clipped objective; `None` where it has none."""
    hyperparameters: dict[str, Any]
    """The method's."""
    row: dict[str, Any]
    """The iteration in `metrics.jsonl`."""
    began: int
    """The iteration that the reproduction began with."""
    exact: bool
    """Whether every iteration that was reproduced equals its row in `metrics.jsonl` bit for bit."""
    differences: str
    """Versions, and the number of cores, that are not those of the run; empty if there are none."""

    @property
    def from_checkpoint(self) -> bool:
        """Whether it began with a checkpoint, not with the run's beginning."""
        return self.began > 0

    def __str__(self) -> str:
        text = f"{self.method} on {self.environment}, iteration {self.iteration}"
        where = f"a checkpoint before iteration {self.began}"
        if not self.from_checkpoint:
            where = "the run's beginning: no checkpoint that it could go on from is as old"
        number = self.iteration + 1 - self.began
        many = f"{number} iteration{'s' if number > 1 else ''}"
        same = "equal to metrics.jsonl bit for bit"
        if not self.exact:
            near = f"up to {compare_rows.TOLERANCE:.0%} of KL, entropy and returns"
            same = f"equal to metrics.jsonl {near}, not bit for bit"
            if self.differences:
                same = f"{same}: {self.differences}"
        return f"{text}, replayed from {where} ({many}, {same})"

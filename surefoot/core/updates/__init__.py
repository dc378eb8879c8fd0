"""Updates: complete improvements of some parameters on one batch.

`Step` is the three questions in one line: what to improve, which way is steepest, how far. `Epochs`
repeats a step on minibatches of the same batch. `AdaptKL` and `AveragePolicy` wrap another update
and carry a state of their own from batch to batch.
"""

from surefoot.core.updates.adaptive import AdaptKL, AdaptKLState
from surefoot.core.updates.averaging import AveragePolicy, AveragePolicyState
from surefoot.core.updates.base import MoveInfo, Update, UpdateInfo, measure
from surefoot.core.updates.epochs import Epochs
from surefoot.core.updates.step import Step
from surefoot.core.updates.traced import KeepLastBatch, KeepLastBatchState, blank_batch

__all__ = [
    "AdaptKL",
    "AdaptKLState",
    "AveragePolicy",
    "AveragePolicyState",
    "Epochs",
    "MoveInfo",
    "KeepLastBatch",
    "KeepLastBatchState",
    "Step",
    "Update",
    "UpdateInfo",
    "blank_batch",
    "measure",
]

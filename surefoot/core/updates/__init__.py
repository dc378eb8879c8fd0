"""Updates: complete improvements of some parameters on one batch.

`Step` is the three questions in one line: what to improve, which way is steepest, how far. `Epochs`
repeats a step on minibatches of the same batch. `AdaptKL`, `LimitTV` and `AveragePolicy` wrap
another update and carry a state of their own from batch to batch; `Tilt` makes weights of a batch's
advantages.
"""

from surefoot.core.updates.adaptive import AdaptedState, AdaptKL, LimitTV
from surefoot.core.updates.averaging import AveragePolicy, AveragePolicyState
from surefoot.core.updates.base import MoveInfo, Update, UpdateInfo, measure
from surefoot.core.updates.constrained import Constrained, ConstrainedInfo
from surefoot.core.updates.epochs import Epochs
from surefoot.core.updates.lagrangian import Lagrangian, LagrangianState, WithCosts
from surefoot.core.updates.step import Step
from surefoot.core.updates.tilt import Exponential, Positive, RelativeEntropy, Tilt, TiltRule
from surefoot.core.updates.traced import KeepLastBatch, KeepLastBatchState, blank_batch

__all__ = [
    "AdaptKL",
    "AdaptedState",
    "AveragePolicy",
    "AveragePolicyState",
    "Constrained",
    "ConstrainedInfo",
    "Epochs",
    "Lagrangian",
    "LagrangianState",
    "WithCosts",
    "LimitTV",
    "MoveInfo",
    "KeepLastBatch",
    "KeepLastBatchState",
    "Positive",
    "RelativeEntropy",
    "Exponential",
    "Step",
    "Tilt",
    "TiltRule",
    "Update",
    "UpdateInfo",
    "blank_batch",
    "measure",
]

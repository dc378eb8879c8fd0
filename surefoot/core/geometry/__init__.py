"""Which way is steepest.

A geometry turns the gradient of the objective into an ascent direction: `init` makes its state from
the parameters, `direction` returns (direction, state, info). It knows nothing of how far to go.
"""

from surefoot.core.geometry.base import Geometry
from surefoot.core.geometry.compatible import Compatible
from surefoot.core.geometry.first_order import Euclidean, FirstOrderInfo, Optax
from surefoot.core.geometry.fisher import CG, Cholesky, Fisher, SolveInfo
from surefoot.core.geometry.kfac import KFAC, KFACInfo, KFACState

__all__ = [
    "CG",
    "KFAC",
    "Cholesky",
    "Compatible",
    "Euclidean",
    "FirstOrderInfo",
    "Fisher",
    "Geometry",
    "KFACInfo",
    "KFACState",
    "Optax",
    "SolveInfo",
]

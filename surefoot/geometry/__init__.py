"""Which way is steepest.

A geometry turns the gradient of the objective into an ascent direction: `init` makes its state from
the parameters, `direction` returns (direction, state, info). It knows nothing of how far to go.
"""

from surefoot.geometry.base import Geometry
from surefoot.geometry.cg import CG
from surefoot.geometry.first_order import Euclidean, FirstOrderInfo, Optax
from surefoot.geometry.fisher import Cholesky, Fisher, SolveInfo
from surefoot.geometry.kfac import KFAC, KFACInfo, KFACState

__all__ = [
    "CG",
    "KFAC",
    "Cholesky",
    "Euclidean",
    "FirstOrderInfo",
    "Fisher",
    "Geometry",
    "KFACInfo",
    "KFACState",
    "Optax",
    "SolveInfo",
]

"""Which way is steepest.

A geometry turns the gradient of the objective into an ascent direction: `init` makes its state from
the parameters, `direction` returns (direction, state, info). It knows nothing of how far to go.
"""

from surefoot.geometry.base import Geometry
from surefoot.geometry.first_order import Euclidean, FirstOrderInfo, Optax
from surefoot.geometry.fisher import CG, Cholesky, Fisher, SolveInfo

__all__ = [
    "CG",
    "Cholesky",
    "Euclidean",
    "FirstOrderInfo",
    "Fisher",
    "Geometry",
    "Optax",
    "SolveInfo",
]

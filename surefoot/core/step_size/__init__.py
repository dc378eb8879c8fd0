"""How far to go.

A step size takes a `LocalModel` and a direction and returns the new parameters. It keeps no state
and does not know where the direction came from: the same `KLBall` scales a plain gradient, a
natural gradient or a K-FAC one, because the length is always measured with the undamped Fisher
matrix.
"""

from surefoot.core.step_size.base import Schedule, StepSize
from surefoot.core.step_size.fixed import Fixed, FixedInfo, Penalty
from surefoot.core.step_size.line_search import Decay, Found, Secant, Shorten, search
from surefoot.core.step_size.trust_region import Backtrack, BacktrackInfo, KLBall, QuadraticInfo

__all__ = [
    "Backtrack",
    "BacktrackInfo",
    "Decay",
    "Fixed",
    "FixedInfo",
    "Found",
    "KLBall",
    "Penalty",
    "QuadraticInfo",
    "Schedule",
    "Secant",
    "Shorten",
    "StepSize",
    "search",
]

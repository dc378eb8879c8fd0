"""The mathematics of one step: pure JAX, without environments, files or clocks.

An update takes a batch and improves some parameters: an objective (what to improve), a geometry
(which way is steepest) and a step size (how far). These are the parts that recipes compose.
"""

from surefoot.common.jax_setup import configure_before_compute
from surefoot.core.geometry import (
    CG,
    KFAC,
    Cholesky,
    Compatible,
    Euclidean,
    Fisher,
    Geometry,
    Optax,
)
from surefoot.core.objectives import (
    Clipped,
    CostSurrogate,
    EntropyBonus,
    KLPenalized,
    Likelihood,
    Objective,
    RatioPenalized,
    Score,
    Surrogate,
    TrustRegionGradient,
)
from surefoot.core.step_size import (
    Backtrack,
    Decay,
    Fixed,
    KLBall,
    Penalty,
    Secant,
    StepSize,
    schedules,
)
from surefoot.core.updates import (
    AdaptKL,
    AveragePolicy,
    Constrained,
    Epochs,
    Exponential,
    Lagrangian,
    LimitTV,
    Positive,
    RelativeEntropy,
    Step,
    Tilt,
    TiltRule,
    Update,
    WithCosts,
)

__all__ = [
    "Score",
    "Surrogate",
    "Clipped",
    "CostSurrogate",
    "RatioPenalized",
    "Likelihood",
    "KLPenalized",
    "EntropyBonus",
    "TrustRegionGradient",
    "Objective",
    "Euclidean",
    "Optax",
    "Fisher",
    "Compatible",
    "CG",
    "Cholesky",
    "KFAC",
    "Geometry",
    "Fixed",
    "KLBall",
    "Penalty",
    "Backtrack",
    "Secant",
    "Decay",
    "StepSize",
    "Step",
    "Epochs",
    "AdaptKL",
    "LimitTV",
    "AveragePolicy",
    "Constrained",
    "Lagrangian",
    "WithCosts",
    "Tilt",
    "TiltRule",
    "Exponential",
    "Positive",
    "RelativeEntropy",
    "Update",
    "schedules",
]

# Before a part is made: its numbers become arrays.
configure_before_compute()

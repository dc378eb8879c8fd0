"""What to improve.

An objective maps the current distributions and a batch to one value a row, which is maximized on
average. It sees no parameters and no network. At θ = θ_old the gradients of Score, Surrogate and
Clipped are the same policy gradient; they differ in what happens further away.

Wherever an objective is expected, any callable (distribution, batch) -> [B] will do; a subclass of
`Objective` can also say which diagnostics belong to it.
"""

from surefoot.core.objectives.base import Objective, PerSample, as_objective, ratio, ratio_before
from surefoot.core.objectives.cost_surrogate import CostSurrogate, costs_of
from surefoot.core.objectives.likelihood import Likelihood
from surefoot.core.objectives.policy_gradient import Clipped, RatioPenalized, Score, Surrogate
from surefoot.core.objectives.projected import Projection, TrustRegionGradient
from surefoot.core.objectives.regularized import EntropyBonus, KLPenalized

__all__ = [
    "Clipped",
    "CostSurrogate",
    "EntropyBonus",
    "KLPenalized",
    "Likelihood",
    "TrustRegionGradient",
    "Objective",
    "PerSample",
    "Projection",
    "RatioPenalized",
    "Score",
    "Surrogate",
    "as_objective",
    "costs_of",
    "ratio",
    "ratio_before",
]

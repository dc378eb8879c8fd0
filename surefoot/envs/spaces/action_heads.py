"""Which distribution fits an action space."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from surefoot.common.errors import UsageError
from surefoot.core.networks import (
    BernoulliHead,
    BetaHead,
    CategoricalHead,
    GaussianHead,
    Head,
    MultiCategoricalHead,
    ProductHead,
    StateGaussianHead,
    TanhGaussianHead,
)
from surefoot.envs.spaces.actions import (
    DistributionName,
    check_bounded,
    parts_of,
    unsupported_action,
)

_INT32 = int(np.iinfo(np.int32).max)


def action_head(
    space: spaces.Space,
    *,
    log_std: float = 0.0,
    state_dependent_std: bool = False,
    distribution: DistributionName = "gaussian",
) -> Head:
    """The distribution family that fits an action space: for `Box` the one asked for, categorical
    for `Discrete`, their products for `MultiDiscrete` and `MultiBinary`, and the product of the
    parts' for `Dict` and `Tuple`. A Gaussian, squashed or not, begins with this log σ, which may
    depend on the state. Raises `UsageError` for a space that has none."""
    if state_dependent_std and distribution == "beta":
        raise UsageError(
            "state_dependent_std is True and distribution is 'beta', whose every parameter depends "
            "on the state; accepted is False: leave it out"
        )
    _check_entries(space)
    match space:
        case spaces.Dict() | spaces.Tuple():
            options: dict[str, Any] = {
                "log_std": log_std,
                "state_dependent_std": state_dependent_std,
                "distribution": distribution,
            }
            return ProductHead(tuple(action_head(part, **options) for part in parts_of(space)))
        case spaces.Box() if np.issubdtype(space.dtype, np.floating):
            dimensions = int(np.prod(space.shape))
            check_bounded(space, distribution)
            if distribution == "beta":
                return BetaHead(dimensions)
            kind = StateGaussianHead if state_dependent_std else GaussianHead
            head = kind(dimensions, log_std=log_std)
            return TanhGaussianHead(head) if distribution == "tanh_gaussian" else head
        case spaces.Discrete():
            return CategoricalHead(int(space.n))
        case spaces.MultiDiscrete():
            return MultiCategoricalHead(tuple(int(n) for n in space.nvec.reshape(-1)))
        case spaces.MultiBinary():
            return BernoulliHead(int(np.prod(space.shape)))
        case _:
            raise unsupported_action(space)


def _check_entries(space: spaces.Space) -> None:
    """Raise `UsageError` for an action of no entry, or of integers that JAX's own cannot hold."""
    if 0 in (getattr(space, "shape", None) or ()):
        raise UsageError(
            f"action space {space} has no entry; accepted is one with an entry or more: wrap the "
            "environment so that it takes one"
        )
    match space:
        case spaces.Discrete():
            start, count = np.array(space.start), np.array(space.n)
        case spaces.MultiDiscrete():
            start, count = space.start, space.nvec
        case _:
            return
    least = min(map(int, start.reshape(-1)))
    most = max(int(s) + int(n) - 1 for s, n in zip(start.flat, count.flat, strict=True))
    if least < -_INT32 - 1 or most > _INT32:
        raise UsageError(
            f"action space {' '.join(str(space).split())} has actions from {least:,} to {most:,}; "
            f"accepted are integers of 32 bits, {-_INT32 - 1:,} to {_INT32:,}: wrap the "
            "environment so that they start at 0"
        )

"""Arrays of agents and checkpoints as earlier versions named them, as they are named today.

Format 1 counted in one number, int32 or float32, knew no offset of observations, and kept nothing
of what rounding left out of a sum.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from surefoot.core.data.count import Count

_COUNTS = (".moments.seen", "learner.steps", "learner.total_steps")


def from_format_1(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of today's format, 2, whatever comes before their names."""
    made: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if name.endswith(_COUNTS):
            count = Count.of(round(float(array)))
            made[f"{name}.high"], made[f"{name}.low"] = map(np.asarray, count)
            continue
        made[name] = array
        if name.endswith((".moments.mean", ".moments.var")):
            made[f"{name}_rest"] = np.zeros_like(array)
        if name.endswith("normalizer.moments.mean"):
            offset = name.removesuffix("moments.mean") + "offset"
            made[f"{offset}.high"] = made[f"{offset}.low"] = np.zeros_like(array)
        if name == "env.episode_return":
            made["env.return_rest"] = np.zeros_like(array)
    return made

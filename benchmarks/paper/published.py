"""What the paper ran, and what it reports.

Table 1 is printed in the paper. Figure 3 is not: its final returns are those that Tianshou's
benchmark read off the curves. The paper's tasks are Gym's v1, these are Gymnasium's v5: Table 1's
scores are relative within a task, Figure 3's returns are not, and Walker2d's feet have another
friction today.
"""

from __future__ import annotations

import dataclasses
from typing import Any

TASKS = (
    "HalfCheetah-v5",
    "Hopper-v5",
    "Walker2d-v5",
    "Swimmer-v5",
    "Reacher-v5",
    "InvertedPendulum-v5",
    "InvertedDoublePendulum-v5",
)

#: Figure 3: final mean return by recipe, in the order of `TASKS`.
FIGURE_3: dict[str, tuple[float, ...]] = {
    "ppo_clip": (1800, 2330, 3460, 108, -7, 1000, 8000),
    "trpo": (0, 2100, 1100, 121, -115, 1000, 200),
    "a2c": (1000, 900, 850, 31, -24, 1000, 7100),
    "a2c_trust_region": (930, 1220, 700, 36, -27, 1000, 8100),
    "cem": (),
    "vpg_adaptive": (),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Setting:
    """A row of Table 1."""

    group: str
    name: str
    recipe: str
    options: dict[str, Any]
    score: float
    """As the paper reports it."""

    @property
    def label(self) -> str:
        """The folder of its results: rows of the library's defaults are shared with the matrix."""
        if not self.options:
            return "defaults"
        return "-".join(["table1", *(f"{name}={value}" for name, value in self.options.items())])


NONE, CLIP = "no clipping or penalty", "clipping"
ADAPTIVE, FIXED = "adaptive KL", "fixed KL"
TABLE_1 = (
    Setting(NONE, "no clipping or penalty", "ppo_clip", {"clip": 1e9}, -0.39),
    Setting(CLIP, "clipping, ε = 0.1", "ppo_clip", {"clip": 0.1}, 0.76),
    Setting(CLIP, "clipping, ε = 0.2", "ppo_clip", {}, 0.82),
    Setting(CLIP, "clipping, ε = 0.3", "ppo_clip", {"clip": 0.3}, 0.70),
    Setting(ADAPTIVE, "adaptive KL, d = 0.003", "ppo_kl", {"target_kl": 0.003}, 0.68),
    Setting(ADAPTIVE, "adaptive KL, d = 0.01", "ppo_kl", {}, 0.74),
    Setting(ADAPTIVE, "adaptive KL, d = 0.03", "ppo_kl", {"target_kl": 0.03}, 0.71),
    Setting(FIXED, "fixed KL, β = 0.3", "ppo_fixed_kl", {"beta": 0.3}, 0.62),
    Setting(FIXED, "fixed KL, β = 1", "ppo_fixed_kl", {"beta": 1.0}, 0.71),
    Setting(FIXED, "fixed KL, β = 3", "ppo_fixed_kl", {}, 0.72),
    Setting(FIXED, "fixed KL, β = 10", "ppo_fixed_kl", {"beta": 10.0}, 0.69),
)

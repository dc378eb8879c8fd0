"""How much of a run is bad by a panel's rule, as its finding."""

from __future__ import annotations

import numpy as np

from surefoot.reporting.drawing.figures import Finding
from surefoot.reporting.drawing.formatting import percent

#: Share of the iterations that may be bad.
RARELY = 0.05


def share_of_bad(bad: np.ndarray, what: str, *, most: float = RARELY) -> Finding:
    """A finding that is good where at most this share of the iterations, [iterations], is bad."""
    share = float(np.mean(bad)) if len(bad) else 0.0
    return Finding(share <= most, f"{what} in {percent(share)} of the iterations")

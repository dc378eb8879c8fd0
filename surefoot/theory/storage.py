"""How a transition table is held in memory."""

from __future__ import annotations

from typing import Any

import scipy.sparse

#: Entries of a table, 32 MB, up to which a dense one is solved as fast.
DENSE = 4_000_000


def fitting(P: scipy.sparse.csr_array) -> Any:
    """A sparse [S*A, S] as it is, or an array [S, A, S] where that has at most `DENSE` entries."""
    rows, states = P.shape
    if rows * states > DENSE:
        return P
    return P.toarray().reshape(states, rows // states, states)

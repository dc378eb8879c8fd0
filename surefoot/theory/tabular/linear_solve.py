"""Discounted linear systems, (I − γP) x = b with P stochastic, or its transpose, and how P is held.

A dense system is solved by LU factorization, a sparse one by GMRES, restarted until the residual
is rounding. Where that is slow, on long chains and grids, a sparse factorization has little fill-in
and takes over.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from jaxtyping import Float

#: Entries of a table, 32 MB, up to which a dense one is solved as fast.
DENSE = 4_000_000

#: Of a sparse solution: ‖b − (I − γP)x‖∞ at most this times ‖b‖∞ + ‖x‖∞, so that the error of a
#: value function is at most this times the same over 1 − γ.
RESIDUAL = 1e-14


def fitting(P: scipy.sparse.csr_array) -> Any:
    """A sparse [S*A, S] as it is, or an array [S, A, S] where that has at most `DENSE` entries."""
    rows, states = P.shape
    if rows * states > DENSE:
        return P
    return P.toarray().reshape(states, rows // states, states)


def solve_discounted(
    P: Any, b: Float[np.ndarray, "*batch S"], discount: float
) -> Float[np.ndarray, "*batch S"]:
    """The x with x = b + γ P x, for P an array [*batch, S, S] or sparse [S, S] with b [S]."""
    if scipy.sparse.issparse(P):
        return _sparse(scipy.sparse.eye_array(P.shape[0], format="csr") - discount * P, b)
    return np.linalg.solve(np.eye(P.shape[-1]) - discount * P, b[..., None])[..., 0]


def _sparse(matrix: Any, b: Float[np.ndarray, " S"]) -> Float[np.ndarray, " S"]:
    x, last = np.zeros_like(b), np.inf
    while True:
        residual = b - matrix @ x
        size = np.abs(residual).max()
        if size <= RESIDUAL * (np.abs(b).max() + np.abs(x).max()):
            return x
        if size > 0.1 * last:
            solution: np.ndarray = scipy.sparse.linalg.splu(matrix.tocsc()).solve(b)
            return solution
        correction, _ = scipy.sparse.linalg.gmres(
            matrix, residual, rtol=1e-6, atol=0.0, restart=40, maxiter=3
        )
        x, last = x + correction, size

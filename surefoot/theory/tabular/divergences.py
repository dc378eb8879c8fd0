"""How far two policies are from each other, state by state."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.special import kl_div

Policies = Float[np.ndarray, "*batch S A"]
PerState = Float[np.ndarray, "*batch S"]

#: 1/(n(n − 1)) with alternating sign: the series of (1 + x) log(1 + x) − x, from x² on.
_SERIES = [(-1) ** n / (n * (n - 1)) for n in range(10, 1, -1)]


def kl(p: Policies, q: Policies) -> PerState:
    """KL(p‖q)[s] = Σ_a p log(p/q), nats; infinite where p has an action that q never takes.

    Computed as Σ_a q ((1+x) log(1+x) − x) with x = p/q − 1, the same where both sum to 1: every
    term is positive, and small steps, whose KL is of second order, keep their digits.
    """
    near = np.abs(p - q) < 0.01 * q
    x = np.divide(p - q, q, out=np.zeros(np.broadcast(p, q).shape), where=near)
    return np.where(near, q * x**2 * np.polyval(_SERIES, x), kl_div(p, q)).sum(axis=-1)


def tv(p: Policies, q: Policies) -> PerState:
    """D_TV(p‖q)[s] = ½ Σ_a |p − q|, in [0, 1]."""
    return 0.5 * np.abs(p - q).sum(axis=-1)


def expected(d: PerState, x: PerState) -> Float[np.ndarray, "*batch"]:
    """E_{s~d}[x(s)]; states that d never visits count in nothing, also where x is infinite."""
    return np.where(d > 0, np.where(d > 0, x, 0.0) * d, 0.0).sum(axis=-1)

"""What is accepted as a table of probabilities, and the one-line answer to what is not."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import scipy.sparse
from jaxtyping import Float

from surefoot.common.errors import UsageError

#: How far a distribution's sum may be from 1: what single precision leaves.
TOLERANCE = 1e-6


def numbers(name: str, x: Any) -> np.ndarray:
    """`x` as an array in float64."""
    try:
        return np.asarray(x, np.float64)
    except (TypeError, ValueError):
        raise UsageError(
            f"{name} is no table of numbers; accepted is an array, or lists of equal length"
        ) from None


def policies(p: Any, shape_of_one: tuple[int, ...]) -> Float[np.ndarray, "*batch S A"]:
    """π(a|s) [*batch, S, A] of an MDP with `shape_of_one`, [S, A]."""
    p = numbers("policy", p)
    accepted = f"{list(shape_of_one)}, with any leading dimensions"
    shape("policy", p.shape, accepted, fits=p.shape[-2:] == shape_of_one)
    return distributions("policy", p)


def distributions(name: str, p: Any) -> Float[np.ndarray, "*batch K"]:
    """`p` in float64 with its last axis divided by its sum, which must be 1 within `TOLERANCE`."""
    p = numbers(name, p)
    entry = _first(~(p >= 0))
    if entry is not None:
        raise _negative(name, entry, p[entry])
    total = p.sum(axis=-1, keepdims=True)
    row = _first(~(np.abs(total[..., 0] - 1) <= TOLERANCE))
    if row is not None:
        raise _unnormalized(name, row, total[row][0])
    return p / total


def sparse_distributions(
    name: str, p: scipy.sparse.csr_array, actions: int
) -> scipy.sparse.csr_array:
    """The same for a sparse [S*A, S], whose row s·A + a is that of state s and action a."""
    entry = _first(~(p.data >= 0))
    if entry is not None:
        row = int(np.searchsorted(p.indptr, entry[0], side="right")) - 1
        index = (*divmod(row, actions), int(p.indices[entry[0]]))
        raise _negative(name, index, p.data[entry])
    total = np.asarray(p.sum(axis=1)).ravel()
    bad = _first(~(np.abs(total - 1) <= TOLERANCE))
    if bad is not None:
        raise _unnormalized(name, divmod(bad[0], actions), total[bad])
    return scipy.sparse.csr_array(scipy.sparse.diags_array(1 / total) @ p)


def shape(name: str, found: tuple[int, ...], accepted: str, *, fits: bool) -> None:
    """Raise `UsageError` unless it `fits`."""
    if not fits:
        raise UsageError(f"{name} has shape {list(found)}; accepted is {accepted}")


def discount(value: Any) -> float:
    """`value` if it lies in [0, 1)."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not 0 <= number < 1:
        raise UsageError(
            f"discount is {value!r}; accepted is a number from 0 to below 1, 0.99 for instance"
        )
    return number


def integer(name: str, value: Any, *, least: int) -> int:
    """`value` if it is an integer from `least` up."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise UsageError(f"{name} is {value!r}; accepted is an integer from {least} up")
    return number


def _first(bad: np.ndarray) -> tuple[int, ...] | None:
    found = np.argwhere(bad)
    return tuple(int(i) for i in found[0]) if len(found) else None


def _entry(name: str, index: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def _negative(name: str, index: tuple[int, ...], value: float) -> UsageError:
    return UsageError(f"{_entry(name, index)} is {value:g}; accepted is a probability, from 0 to 1")


def _unnormalized(name: str, index: tuple[int, ...], total: float) -> UsageError:
    return UsageError(
        f"{_entry(name, index)} sums to {total:g}; accepted are probabilities that sum to 1: "
        "divide them by their sum"
    )

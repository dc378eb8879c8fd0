"""Compiled programs, kept for the process: what differs in numbers only is compiled once.

A sweep trains learners that are equal but for the values of their arrays, hyperparameters included.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

#: Programs that are kept; those not used for longest go first.
MOST = 32

_programs: OrderedDict[Hashable, Callable[..., Any]] = OrderedDict()


def compiled(
    function: Callable[..., Any],
    *args: Any,
    closed_over: Hashable | None = None,
    compiler: Callable[..., Any] = eqx.filter_jit,
) -> Callable[..., Any]:
    """`function`, compiled ahead of its first call, for these arguments and all that differ from
    them in the values of arrays only. It never compiles again, and the time can be told.

    A function that is defined anew at every use is known by its name and by all that it closes
    over, which `closed_over` then holds.
    """
    leaves, structure = jax.tree.flatten(args)
    known = function if closed_over is None else (function.__module__, function.__qualname__)
    key = known, closed_over, structure, tuple(map(_kind, leaves)), jnp.result_type(float)
    try:
        program = _programs.pop(key, None)
    except TypeError:  # Something in it has no hash: nobody can tell whether it is equal.
        return compiler(function).lower(*args).compile()
    _programs[key] = program or compiler(function).lower(*args).compile()
    if len(_programs) > MOST:
        _programs.popitem(last=False)
    return _programs[key]


def constants(tree: Any) -> Hashable:
    """What of a tree is no array, to be compared with that of another one."""
    leaves, structure = jax.tree.flatten(eqx.filter(tree, eqx.is_array, inverse=True))
    return structure, tuple((type(leaf), leaf) for leaf in leaves)


def _kind(leaf: Any) -> Hashable:
    """What of an argument a program depends on."""
    if isinstance(leaf, jax.Array):
        return jax.typeof(leaf), leaf.sharding
    if isinstance(leaf, np.ndarray | np.generic):
        return jax.typeof(leaf)
    return type(leaf), leaf

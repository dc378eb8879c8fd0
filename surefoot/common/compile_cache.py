"""Compiled programs, kept for the process: what differs in numbers only is compiled once.

A sweep trains learners that are equal but for the values of their arrays, hyperparameters included.
Kept is only what the library's own parts make. Of a user's objective or environment nobody can tell
whether it is still the same: it may read what has been changed since.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

#: Programs that are kept; those not used for longest go first.
MOST = 32

_lock = threading.Lock()
_programs: OrderedDict[Hashable, Callable[..., Any]] = OrderedDict()


def compiled(
    function: Callable[..., Any],
    *args: Any,
    keep: bool,
    closed_over: Hashable | None = None,
    compiler: Callable[..., Any] = eqx.filter_jit,
) -> Callable[..., Any]:
    """`function`, compiled ahead of its first call, for these arguments and all that differ from
    them in the values of arrays only. It never compiles again, and the time can be told. With
    `keep` the program is kept, or one that was kept is taken.

    A function that is defined anew at every use is known by its name and by all that it closes
    over, which `closed_over` then holds.
    """

    def made() -> Callable[..., Any]:
        return compiler(function).lower(*args).compile()

    if not keep:
        return made()
    leaves, structure = jax.tree.flatten(args)
    known = function if closed_over is None else (function.__module__, function.__qualname__)
    settings = jnp.result_type(float), tuple(sorted(map(repr, jax.config.values.items())))
    key = known, closed_over, structure, tuple(map(_kind, leaves)), settings
    with _lock:
        program = _programs.pop(key, None)
    if program is None:
        program = made()
    with _lock:
        _programs[key] = program
        while len(_programs) > MOST:
            _programs.popitem(last=False)
    return program


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
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return leaf
    return type(leaf), leaf

"""Compiled programs, kept for the process: what differs in numbers only is compiled once.

A sweep trains learners that are equal but for the values of their arrays, hyperparameters included.
Only programs made from the library's own parts are cached: a user's function may have changed since
it was traced.
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
MAX_PROGRAMS = 32

_lock = threading.Lock()
_programs: OrderedDict[Hashable, Callable[..., Any]] = OrderedDict()


def compile_cached(
    function: Callable[..., Any],
    *args: Any,
    cache_program: bool,
    closed_over: Hashable | None = None,
    compiler: Callable[..., Any] = eqx.filter_jit,
) -> Callable[..., Any]:
    """`function`, compiled ahead of its first call, for these arguments and all that differ from
    them in the values of arrays only. It never compiles again, and its time can be measured. With
    `cache_program` the program is taken from the cache, or put there.

    A function that is defined anew at every use is known by its name and by all that it closes
    over, which `closed_over` then holds.
    """

    def made() -> Callable[..., Any]:
        return compiler(function).lower(*args).compile()

    if not cache_program:
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
        while len(_programs) > MAX_PROGRAMS:
            _programs.popitem(last=False)
    return program


def constants(tree: Any) -> Hashable:
    """The static part of a pytree, as a hashable key."""
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

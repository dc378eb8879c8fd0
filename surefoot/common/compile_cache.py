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


def attributes(value: Any) -> Hashable:
    """All that an object has and its classes have, as a hashable key: as long as it is equal, the
    object's methods do the same. Numbers, texts and arrays count by what they are, and anything
    else by its identity."""
    held = [(name, _fixed(x)) for name, x in sorted(vars(value).items())]
    kinds = [
        (kind, tuple((name, _fixed(x)) for name, x in sorted(vars(kind).items())))
        for kind in type(value).__mro__
        if kind is not object
    ]
    return tuple(held), tuple(kinds)


def _fixed(value: Any) -> Hashable:
    if isinstance(value, bool | int | float | complex | str | bytes | type(None)):
        # 0.0 and -0.0 are equal, and nan is not equal to itself.
        return type(value), repr(value)
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        array = np.asarray(value)
        return type(value), array.dtype.str, array.shape, array.tobytes()
    if isinstance(value, tuple | list):
        return type(value), tuple(map(_fixed, value))
    return _Same(value)


class _Same:
    """Equal to itself and to nothing else, as long as it is kept."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)


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

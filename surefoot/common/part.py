"""`Part`: what methods are put together of. It prints as the line that makes it.

A part's first field is written as it is, and so are the parts and functions that follow it; other
fields have their names. Fields with their default values are left out, but the first.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np


class Part(eqx.Module):
    """A module that prints as the line that makes it."""

    adaptable: ClassVar[tuple[str, ...]] = ()
    """Fields that another part may change while it learns: numbers, which are arrays."""

    def __repr__(self) -> str:
        return composition(self)


def adaptable_numbers(part: eqx.Module, name: str) -> Iterator[tuple[str, ...]]:
    """Where this part, and those within it, have an adaptable number of that name: the fields that
    lead there."""
    if name in getattr(part, "adaptable", ()):
        yield (name,)
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if isinstance(value, eqx.Module):
            yield from ((field.name, *path) for path in adaptable_numbers(value, name))


def composition(value: Any) -> str:
    """The value as it is written where a method is put together: a part with its arguments, the
    name of a function, a number. What has no such text is told by its kind; no array is written
    out."""
    if isinstance(value, eqx.Module):
        return f"{type(value).__name__}({', '.join(_arguments(value))})"
    if isinstance(value, functools.partial):
        return f"partial({composition(value.func)}, …)"
    if callable(value):
        return getattr(value, "__qualname__", type(value).__name__)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value).__name__
    if isinstance(value, jax.Array | np.ndarray | np.generic) and _is_plain(value):
        # A float32 in its own digits: 0.01, not 0.009999999776.
        return str(np.asarray(value)[()])
    # An object without a text of its own has its address, another one in every process.
    return re.sub(r" at 0x[0-9a-f]+", "", eqx.tree_pformat(value, width=10_000))


def _arguments(part: eqx.Module) -> list[str]:
    """What a part is called with."""
    told: list[str] = []
    bare = True
    for number, field in enumerate(dataclasses.fields(part)):
        # One that is still being made has not all of them.
        if field.name not in (made := vars(part)):
            continue
        value = made[field.name]
        if isinstance(value, dict):
            told += [f"{name}={composition(one)}" for name, one in value.items()]
        elif number and _is(value, _default(field)):
            bare = False
        else:
            a_part = isinstance(value, eqx.Module) or callable(value)
            bare = bare and not field.kw_only and (a_part or not number)
            told.append(composition(value) if bare else f"{field.name}={composition(value)}")
    return told


def _is_plain(value: Any) -> bool:
    """Whether it is one number, and known: not one that a program is traced with."""
    return np.ndim(value) == 0 and not isinstance(value, jax.core.Tracer)


def _default(field: dataclasses.Field[Any]) -> Any:
    """A field's default, `MISSING` where it has none."""
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


def _is(value: Any, default: Any) -> bool:
    """Whether a field has its default, which may have become an array."""
    if isinstance(default, eqx.Module):
        return type(value) is type(default) and composition(value) == composition(default)
    if isinstance(value, jax.Array | np.ndarray) and isinstance(default, int | float):
        return _is_plain(value) and bool(np.asarray(value) == np.asarray(default, value.dtype))
    return value is default or (type(value) is type(default) and value == default)

"""What the numbers of a row mean: a table, made of the documented fields of what the parts report.

`make pages` writes it, so that it is read without importing a part, and no JAX with it.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import NamedTuple

CRITIC = "critic_"


class Diagnostic(NamedTuple):
    """One number of a row, or a list of one for each action dimension."""

    name: str
    meaning: str = ""
    unit: str = "–"
    bad: str = ""
    """What a bad value looks like, if that can be said."""
    title: str = ""
    """Of its figure."""
    label: str = ""
    """What a terminal calls it."""
    tag: str = ""
    """Its name in other libraries, if they have one."""
    log: bool = False
    """Whether its axis is logarithmic."""
    low: float | None = None
    """Where its axis begins, if not where the data does."""
    high: float | None = None
    """Where its axis ends, if not where the data does."""
    followed: bool = False
    """Whether comparisons and terminals show it."""
    told: bool = False
    """Whether it is told elsewhere than in a figure of its own."""
    by: tuple[str, ...] = ()
    """The named tuples, or parts, that report it."""
    section: str = ""
    """Where docs/diagnostics.md has it."""


@functools.cache
def table() -> dict[str, Diagnostic]:
    """The diagnostics of the library's own parts by their names; times begin with `timing.`."""
    file = resources.files(__package__).joinpath("diagnostic_table.json")
    facts = json.loads(file.read_text(encoding="utf-8"))
    return {name: Diagnostic(name, **told) for name, told in facts.items()}


def known(*names: str) -> tuple[str, ...]:
    """These names. Raises `KeyError` where the table lacks one, that of a renamed field for
    instance."""
    return tuple(table()[name].name for name in names)


def describe(name: str) -> Diagnostic:
    """What is known of a field of a row, whose title is its name where it has no other. The
    critic's are those of its update."""
    name = name.removeprefix(CRITIC)
    found = table().get(name, Diagnostic(name))
    return found._replace(title=found.title or in_words(name))


def in_words(name: str) -> str:
    """A field's name as a title."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def followed() -> tuple[str, ...]:
    """The names of those that comparisons and terminals show."""
    return tuple(name for name, one in table().items() if one.followed)

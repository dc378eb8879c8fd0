"""Learners put together by hand, where a recipe is expected."""

from __future__ import annotations

import dataclasses
import re

import equinox as eqx

from surefoot.methods.families.base import Offline, OnPolicy, Recipe
from surefoot.methods.learners.learner import Learner


def _as_text(learner: Learner) -> str:
    # An object without a text of its own has its address, another one in every process.
    return re.sub(r" at 0x[0-9a-f]+", "", eqx.tree_pformat(learner, short_arrays=False))


#: Of a field that holds a learner put together by hand, an `Algorithm` for instance.
_AS_TEXT = {"as_json": _as_text}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Composed(OnPolicy):
    """A learner put together by hand, where a recipe is expected."""

    learner: Learner = dataclasses.field(metadata=_AS_TEXT)

    def build(self) -> Learner:
        return self.learner


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComposedOffline(Offline):
    """The same for one that learns from recorded data."""

    learner: Learner = dataclasses.field(metadata=_AS_TEXT)

    def build(self) -> Learner:
        return self.learner


def composed(learner: Learner) -> Recipe:
    """A recipe that is this learner."""
    return ComposedOffline(learner=learner) if learner.offline else Composed(learner=learner)

"""What fields accept, up to their bounds and no further."""

import dataclasses
import json
import math
from typing import Literal

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.common.errors import UsageError
from surefoot.common.fields import (
    at_least,
    fraction,
    nonnegative,
    number,
    plain,
    positive,
    validate,
)
from surefoot.common.settings import RunSettings
from surefoot.methods.registry import RECIPES

TINY = math.nextafter(0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Options:
    share: float = fraction(0.5)
    part: float = fraction(0.5, zero=False)
    place: float = number(0.0, -5.0, 5.0)
    rate: float = positive(0.1)
    extra: float = nonnegative(0.1)
    count: int = at_least(1, 3)
    few: int = at_least(1, 3, high=8)
    shown: bool = True
    kind: Literal["cg", "exact"] = "cg"
    widths: tuple[int, ...] = (4, 4)


ACCEPTED = {
    "share": [0.0, 1.0, 1],
    "part": [TINY, 1.0],
    "place": [-5.0, 5.0],
    "rate": [TINY, 1e300],
    "extra": [0.0, 1e300],
    "count": [1, 10**30],
    "few": [1, 8, np.int64(8)],
}
REFUSED = {
    "share": [-TINY, math.nextafter(1.0, 2.0), True],
    "part": [0.0, math.nextafter(1.0, 2.0)],
    "place": [math.nextafter(-5.0, -6.0), math.nextafter(5.0, 6.0), math.nan],
    "rate": [0.0, math.inf, "1", 10**400],
    "extra": [-TINY, math.inf],
    "count": [0, 1.5],
    "few": [0, 9, 8.0, True],
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_bound_is_accepted_and_what_lies_beyond_it_is_not(name):
    for value in ACCEPTED[name]:
        validate(Options(**{name: value}))
    for value in REFUSED[name]:
        with pytest.raises(UsageError, match=rf"{name} is .*; accepted is an? .*"):
            validate(Options(**{name: value}))


#: A value of Python's as NumPy and JAX have it.
FORMS = {
    "NumPy scalar": lambda x: np.asarray(x)[()],
    "NumPy array": np.asarray,
    "JAX scalar": jnp.asarray,
}
PLAIN = {"share": 0.25, "place": -1.5, "count": 7, "shown": False}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", PLAIN)
def test_scalars_of_numpy_and_jax_are_made_plain(name, form):
    options = Options(**{name: FORMS[form](PLAIN[name])})
    validate(options)
    found = getattr(options, name)
    assert found == PLAIN[name]
    assert type(found) is type(PLAIN[name])


def test_what_holds_several_is_made_plain_too():
    for widths in (np.array([3, 5]), jnp.array([3, 5]), [np.int8(3), jnp.asarray(5)], (3, 5)):
        options = Options(widths=widths, kind=np.str_("exact"))
        validate(options)
        assert options.widths == (3, 5)
        assert {type(width) for width in options.widths} == {int}
        assert type(options.kind) is str


def test_what_is_not_accepted_is_not_accepted_as_a_scalar_of_numpy_either():
    for options in (
        Options(few=np.int64(9)),
        Options(few=np.float32(3.0)),
        Options(few=np.True_),
        Options(few=np.array([3])),
        Options(share=jnp.asarray(2.0)),
        Options(shown=np.int64(1)),
        Options(kind=np.str_("cgs")),
    ):
        with pytest.raises(UsageError, match=r"is .*; accepted"):
            validate(options)


leaves = st.one_of(
    st.integers(-100, 100),
    st.floats(-100, 100, width=32),
    st.booleans(),
    st.integers(-100, 100).map(np.int16),
    st.floats(-100, 100, width=32).map(np.float32),
    st.booleans().map(np.bool_),
    st.lists(st.integers(0, 9), max_size=3).map(np.array),
)
nested = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(derandomize=True, max_examples=50, deadline=None)
@given(nested)
def test_anything_of_scalars_can_be_written_as_json(value):
    json.dumps(plain(value))


def in_numpy(value):
    """A default as a search over hyperparameters would draw it."""
    match value:
        case tuple():
            return tuple(map(in_numpy, value))
        case str():
            return np.str_(value)
        case _:
            return np.asarray(value)[()]


@pytest.mark.parametrize("kind", [RunSettings, *RECIPES.values()], ids=lambda k: k.__name__)
def test_every_hyperparameter_may_come_from_numpy(kind):
    defaults = dataclasses.asdict(kind())
    made = dataclasses.asdict(kind(**{name: in_numpy(x) for name, x in defaults.items()}))
    assert made == defaults
    assert json.dumps(made) == json.dumps(defaults)

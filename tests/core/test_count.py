"""Counts against Python's integers."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.core.data.count import Count

plus = jax.jit(lambda count, number: count.plus(number))
rounded = jax.jit(lambda count: count.rounded())
CLOSE = st.sampled_from([0, 2**24, 2**30, 2**31, 2**32, 2**53, 2**60])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(CLOSE, st.integers(-3, 3), st.lists(st.integers(0, 2**30), max_size=4))
def test_sums_are_exact(near, off, numbers):
    total = max(0, near + off)
    count = Count.of(total)
    assert int(count) == total
    for number in numbers:
        count = plus(count, np.int32(number))
        total += number
        assert int(count) == total
    assert 0 <= int(count.low) < 2**30
    np.testing.assert_allclose(rounded(count), float(total), rtol=2.0**-23)


def test_in_double_precision_the_number_is_rounded_there(x64):
    assert float(jax.jit(lambda c: c.rounded())(Count.of(2**50 + 1))) == 2**50 + 1


@pytest.mark.parametrize("number", [0, 1, 2**24 + 1, 2**31 - 1])
def test_adding_one_by_one(number):
    assert int(plus(Count.of(number), np.int32(1))) == number + 1

"""Every order of rows is as likely as any other."""

import functools
import itertools

import jax
import numpy as np
import pytest
from scipy.stats import chi2

from support.suites import cases
from surefoot.core.updates.shuffle import shuffled


def orders(rows, count, seed=0):
    return np.asarray(drawn(seed, rows, count))


@functools.partial(jax.jit, static_argnames=("rows", "count"))
def drawn(seed, rows, count):
    keys = jax.random.split(jax.random.key(seed), count)
    return jax.vmap(lambda key: shuffled(key, rows))(keys)


@pytest.mark.parametrize(
    "rows", cases([1, 2, 3, 64, 1000, 2048, 2049, 5000, 70_000], fast=[1, 3, 2048, 70_000])
)
def test_each_row_comes_once(rows):
    (order,) = orders(rows, 1)
    assert order.dtype == np.int32
    np.testing.assert_array_equal(np.sort(order), np.arange(rows))
    if rows > 60:
        assert (order != orders(rows, 1, seed=1)[0]).mean() > 0.9


@pytest.mark.parametrize("rows", cases([2, 4], fast=[4]))
def test_all_orders_are_equally_likely(rows):
    count = 24_000
    seen = [tuple(order) for order in orders(rows, count).tolist()]
    every = list(itertools.permutations(range(rows)))
    counts = np.array([seen.count(order) for order in every])
    expected = count / len(every)
    assert ((counts - expected) ** 2 / expected).sum() < chi2.ppf(0.999, len(every) - 1)


@pytest.mark.parametrize("rows", cases([2048, 4096], fast=[4096]))
def test_rows_keep_no_trace_of_their_order(rows):
    """Ranks of the first and the last rows, and which of two neighbors comes first."""
    count = 400
    ranks = np.argsort(orders(rows, count), axis=1)
    for row in (0, 1, rows // 2, rows - 1):
        counts = np.histogram(ranks[:, row], bins=8, range=(0, rows))[0]
        assert ((counts - count / 8) ** 2 / (count / 8)).sum() < chi2.ppf(0.999, 7)
    first = (ranks[:, 0::2] < ranks[:, 1::2]).mean()
    assert abs(first - 0.5) < 4 * 0.5 / np.sqrt(count * rows / 2)

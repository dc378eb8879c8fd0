"""Which cases of a test every run of the tests has, and which the thorough suite alone."""

import pytest


def cases(values, *, fast):
    """The values as a test's parameters; those not among `fast` are slow."""
    values = list(values)
    assert set(fast) <= set(values), set(fast) - set(values)
    return [v if v in fast else pytest.param(v, marks=pytest.mark.slow) for v in values]

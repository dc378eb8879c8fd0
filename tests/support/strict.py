"""A fixture that gives no array another rank or another type without a word."""

import jax
import pytest


@pytest.fixture(autouse=True)
def strict():
    """For a `conftest.py` to import: every test beside it runs without promotion."""
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield

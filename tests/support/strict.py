"""A fixture that gives no array another rank or another type without a word."""

import jax
import optax
import pytest

from surefoot.core.geometry import Optax


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    """For a `conftest.py` to import: every test beside it runs without promotion."""
    made = Optax._made

    def lenient(self):
        """The optimizer, which raises a decay to the power of its count of steps, an integer."""
        optimizer = made(self)

        def update(*args):
            with jax.numpy_dtype_promotion("standard"):
                return optimizer.update(*args)

        return optax.GradientTransformation(optimizer.init, update)

    monkeypatch.setattr(Optax, "_made", lenient)
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield

"""Every test runs with the shapes and types of the core's annotations checked at run time."""

import os

# What is compiled is under test, too, and the user's cache is not the tests' to fill.
os.environ["SUREFOOT_CACHE"] = "off"

import surefoot  # isort: skip  # Before JAX, so that the tests run as training does.

import jax
import pytest
from jaxtyping import install_import_hook

#: Not those that meet users' mistakes themselves (training, agent, …): there the check would come
#: before the message under test.
CORE = (
    "advantages algorithm cloning cross_entropy distributions envs.classic episodes evaluation "
    "geometry learner local loop networks normalize objectives rollout step_size types update "
    "wrappers"
)

with install_import_hook([f"surefoot.{name}" for name in CORE.split()], "beartype.beartype"):
    import surefoot.training

surefoot.runtime.before_computing()


@pytest.fixture
def x64():
    """Double precision for one test."""
    with jax.enable_x64(True):
        yield

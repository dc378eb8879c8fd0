"""Every test runs with the shapes and types of the core's annotations checked at run time."""

import gc
import os
import sys
import tempfile
from pathlib import Path

# What one test or worker has compiled, none compiles again: a quarter of the tests' time. It is
# kept apart from the user's cache, in a folder that lives as long as the process that made it.
if "SUREFOOT_TEST_CACHE" not in os.environ:
    _folder = tempfile.TemporaryDirectory(prefix="surefoot-tests-", ignore_cleanup_errors=True)
    os.environ["SUREFOOT_TEST_CACHE"] = _folder.name
os.environ["SUREFOOT_CACHE"] = os.environ["SUREFOOT_TEST_CACHE"]

# The benchmarks are no part of the package; appended, so that the installed package comes first.
sys.path.append(str(Path(__file__).parents[1]))

import surefoot  # isort: skip  # Before JAX, so that the tests run as training does.

import jax
import pytest
from jaxtyping import install_import_hook

#: Not those that meet users' mistakes themselves (training, agent, …): there the check would come
#: before the message under test.
CORE = (
    "agents.playing common.arrays common.compile_cache core envs.device.classic methods.learners "
    "training.device_loop training.host_loop training.iteration training.offline_loop "
    "training.rollout"
)

with install_import_hook([f"surefoot.{name}" for name in CORE.split()], "beartype.beartype"):
    import surefoot.runs.train

surefoot.common.jax_setup.configure_before_compute()


@pytest.fixture(scope="module", autouse=True)
def _programs_go_with_their_module():
    """A process that holds thousands of compiled programs has mapped more memory regions than the
    system allows one, and the compiler crashes."""
    yield
    surefoot.common.compile_cache._programs.clear()
    jax.clear_caches()
    gc.collect()


@pytest.fixture
def x64():
    """Double precision for one test."""
    with jax.enable_x64(True):
        yield

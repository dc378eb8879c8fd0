"""Every test runs with the shapes and types of the core's annotations checked at run time."""

import contextlib
import importlib.metadata
import platform
import sys
from pathlib import Path

# The benchmarks are no part of the package; appended, so that the installed package comes first.
sys.path.append(str(Path(__file__).parents[1]))

from support import compiled

finish = compiled.configure()

import surefoot  # isort: skip  # Before JAX, so that the tests run as training does.

import jax
import pytest
from jaxtyping import install_import_hook

pytest_plugins = ["support.clock"]

#: Not those that meet users' mistakes themselves (training, agent, …): there the check would come
#: before the message under test.
CORE = (
    "agents.playing common.arrays common.compile_cache core envs.device.classic methods.learners "
    "training.device_loop training.device_program training.host_loop training.iteration "
    "training.offline_loop training.rollout"
)

with install_import_hook([f"surefoot.{name}" for name in CORE.split()], "beartype.beartype"):
    import surefoot.runs.train

from support.runs import SharedRuns

surefoot.common.jax_setup.configure_before_compute()

# Programs that differ in numbers only are compiled once; a run keeps 32 of them, the tests all.
surefoot.common.compile_cache.MAX_PROGRAMS = 10_000


mappings = compiled.Mappings()


def pytest_runtest_logfinish():
    mappings.look()


def pytest_sessionstart(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(versions())


def pytest_unconfigure(config):
    finish()


def versions():
    """Of what results depend on, in a line."""
    found = [f"Python {platform.python_version()}"]
    for name in ("jax", "gymnasium", "mujoco"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name} {importlib.metadata.version(name)}")
    return ", ".join(found)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, request):
    """`trained(algorithm, environment, **options)` is the folder of a finished run, which the tests
    of all processes share."""
    base = tmp_path_factory.getbasetemp()
    shared = SharedRuns((base.parent if hasattr(request.config, "workerinput") else base) / "runs")
    yield shared
    shared.check()


@pytest.fixture
def x64():
    """Double precision for one test."""
    with jax.enable_x64(True):
        yield

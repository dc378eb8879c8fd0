"""Data parallelism: environments shared out over devices, the same update."""

import os
import subprocess
import sys

import pytest

import surefoot as sf

COMPARE = """
import sys
import jax, numpy as np
import surefoot as sf
from surefoot.common import compile_cache
from surefoot.runs.run import Run
from surefoot.runs.options import Options

name, seeds = sys.argv[1], range(int(sys.argv[2]))
ends = {}
for devices in (1, 2):
    options = dict(steps=128, horizon=16, hidden=(8,), backend="device", devices=devices)
    runs = Options.split(name, options).runs("CartPole-v1", seeds)
    (told,) = Run.side_by_side(runs)
    ends[devices] = [run.state._replace(key=None) for run in runs]
    one = told[0].state.policy.layers[0][0]
    assert len(one.devices()) == devices, one.sharding
    text = list(compile_cache._programs.values())[-1].compiled.as_text()
    assert ("all-reduce(" in text) == (devices == 2)
    kl = told[-1].metrics["kl_mean"]
    assert kl > 0 and told[-1].steps == 128
for a, b in zip(jax.tree.leaves(ends[1]), jax.tree.leaves(ends[2]), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
"""


@pytest.mark.parametrize(
    ("name", "seeds", "optimized"),
    [
        ("trpo", 1, False),
        pytest.param("trpo", 1, True, marks=pytest.mark.slow),
        pytest.param("ppo_clip", 1, True, marks=pytest.mark.slow),
        pytest.param("trpo", 2, True, marks=pytest.mark.slow),
    ],
)
def test_two_devices_make_the_update_of_one(name, seeds, optimized):
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    # A program is partitioned before it is optimized, which takes half of the time.
    flags |= {} if optimized else {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    command = [sys.executable, "-c", COMPARE, name, str(seeds)]
    done = subprocess.run(
        command, env=os.environ | flags, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devices": 2}, "devices is 2 with environments on the host; accepted is 1, or --backend"),
        ({"devices": 99, "backend": "device"}, "devices is 99; accepted is at most 1, the devices"),
        ({"devices": 0}, "devices is 0; accepted is an integer >= 1"),
    ],
)
def test_devices_that_are_not_there(options, message):
    with pytest.raises(sf.UsageError, match=message):
        sf.train("trpo", "CartPole-v1", **options)

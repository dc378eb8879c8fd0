"""The package's face: its public names, and what the README says of them."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import surefoot as sf
from support.runs import BATCH, TINY

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


BLOCKS = blocks(README)


@pytest.mark.parametrize("name", sf.__all__)
def test_every_public_name_resolves(name):
    assert getattr(sf, name) is not None
    assert name in dir(sf)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Trpo'"):
        _ = sf.Trpo


def test_importing_the_package_imports_no_jax():
    code = "import sys, surefoot, surefoot.cli.main; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_readmes_trpo_by_hand_runs_in_at_most_15_lines_and_is_the_recipe():
    (block,) = [b for b in BLOCKS if "sf.Algorithm(" in b]
    assert len(block.strip().splitlines()) <= 15
    names = {"TINY": TINY}
    exec(re.sub(r"steps=[\d_]+", f"steps={2 * BATCH}, **TINY", block), names)
    recipe = sf.train("trpo", "CartPole-v1", steps=2 * BATCH, **TINY)
    for by_hand, by_name in zip(
        names["agent"].policy.network.weights, recipe.policy.network.weights, strict=True
    ):
        assert (by_hand == by_name).all()


NEW_METHOD = ROOT / "examples" / "new_method.py"


def test_the_example_of_a_new_method_is_short_and_can_be_built():
    assert len(NEW_METHOD.read_text().splitlines()) <= 30
    method = runpy.run_path(str(NEW_METHOD))["ClippedKFAC"]()
    assert isinstance(method.build(), sf.Algorithm)


@pytest.mark.slow
def test_the_example_of_a_new_method_learns():
    names = runpy.run_path(str(NEW_METHOD))
    agent = sf.train(names["ClippedKFAC"](), "CartPole-v1", backend="device", steps=100_000)
    assert agent.evaluate(20).mean >= 400

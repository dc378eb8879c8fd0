"""The package's face: its public names, and what the README says of them."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import surefoot as sf
from surefoot.recipes import RECIPES

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
    code = "import sys, surefoot, surefoot.cli; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_readmes_trpo_by_hand_runs_in_at_most_15_lines_and_is_the_recipe():
    (block,) = [b for b in BLOCKS if "sf.Algorithm(" in b]
    assert len(block.strip().splitlines()) <= 15
    names = {}
    exec(re.sub(r"steps=[\d_]+", "steps=4096", block), names)
    recipe = sf.train("trpo", "CartPole-v1", steps=4096)
    for by_hand, by_name in zip(
        names["agent"].policy.network.weights, recipe.policy.network.weights, strict=True
    ):
        assert (by_hand == by_name).all()


def test_the_readmes_face_of_the_library_runs(tmp_path, monkeypatch):
    (block,) = [b for b in BLOCKS if "agent.predict" in b]
    monkeypatch.chdir(tmp_path)
    block = block.replace("HalfCheetah-v5", "Pendulum-v1")
    block = re.sub(r"steps=[\d_]+", "steps=2048", block)
    names = {"observation": [1.0, 0.0, 0.0]}
    exec(block, names)
    assert len(names["result"].returns) == 20


def test_the_readmes_table_is_the_recipes_own():
    text = README.read_text()
    for name, kind in RECIPES.items():
        assert f"| `{name}` | {' | '.join(kind.parts)} |" in text


def test_the_example_of_a_new_method_is_short_and_learns():
    path = ROOT / "examples" / "new_method.py"
    assert len(path.read_text().splitlines()) <= 30
    names = runpy.run_path(str(path))
    agent = sf.train(names["ClippedKFAC"](), "CartPole-v1", backend="device", steps=100_000)
    assert agent.evaluate(20).mean >= 400


def test_the_page_on_extending_runs_from_top_to_bottom():
    exec("\n".join(blocks(ROOT / "docs" / "extending.md")), {"__name__": "extending"})

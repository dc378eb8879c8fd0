"""The house: a name stands for one thing, a folder fits on a screen, a method is short."""

import ast
import collections
import re
import tomllib
from pathlib import Path

import surefoot as sf

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "surefoot"
TESTS = ROOT / "tests"
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = {
    "agents",
    "cli",
    "common",
    "core",
    "envs",
    "methods",
    "reporting",
    "runs",
    "theory",
    "training",
}
TRPO = [
    "methods/recipes/trpo",
    "methods/learners/algorithm",
    "core/data/advantages",
    "core/updates/base",
    "core/updates/step",
    "core/objectives/policy_gradient",
    "core/local_model",
    "core/geometry/fisher",
    "core/step_size/trust_region",
]


def layers(name):
    """The layers of an import contract, highest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    (found,) = [contract["layers"] for contract in contracts if name in contract["name"]]
    return [set(layer.split(" | ")) for layer in found]


def test_ten_folders_in_eight_layers():
    assert {path.parent.name for path in PACKAGE.glob("*/*.py")} == ROOMS
    assert {path.name for path in PACKAGE.glob("*") if path.is_file()} == {
        "__init__.py",
        "py.typed",
    }
    assert len(layers("Eight layers")) == 8
    assert set.union(*layers("Eight layers")) == ROOMS


def test_no_two_files_have_one_name():
    exempt = {"__init__.py", "base.py"}
    counted = [path for path in FILES if path.name not in exempt and path.parent.name != "commands"]
    names = collections.Counter(path.name for path in counted)
    assert not {name for name, count in names.items() if count > 1}


def test_folders_are_small_and_shallow():
    folders = collections.Counter(path.parent for path in FILES)
    assert max(folders.values()) <= 15
    deep = {path.parent.parent for path in FILES if len(path.relative_to(PACKAGE).parts) > 3}
    assert deep == {PACKAGE / "agents" / "export"}


def test_nothing_imports_the_face():
    for path in set(FILES) - {PACKAGE / "__init__.py"}:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.module != "surefoot", path
            elif isinstance(node, ast.Import):
                assert not any(alias.name.startswith("surefoot") for alias in node.names), path


def test_no_public_names_differ_only_in_case():
    public = collections.Counter(name.lower() for name in sf.__all__)
    assert not {name for name, count in public.items() if count > 1}


def test_trpo_is_read_in_nine_short_files():
    assert len(TRPO) == 9
    assert sum(len((PACKAGE / f"{name}.py").read_text().splitlines()) for name in TRPO) <= 900


def test_contributing_shows_the_whole_house():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert set(re.findall(r"^(\w+)/ +[1-8] ", text, re.MULTILINE)) == ROOMS
    assert all(f"`surefoot/{name}.py`" in text for name in TRPO)


def test_tests_lie_as_the_package_does():
    """In a folder a room; beside them those of the benchmarks, what tests share, and old runs."""
    folders = {path.name for path in TESTS.iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders == ROOMS | {"benchmarks", "support", "golden"}
    names = collections.Counter(path.name for path in TESTS.rglob("test_*.py"))
    assert not {name for name, count in names.items() if count > 1}
    assert not [*(TESTS / "support").rglob("test_*.py")]


def test_no_test_imports_a_test():
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [alias.name for alias in node.names]
                modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                parts = {part for module in modules for part in module.split(".")}
                tests = {part for part in parts if re.match(r"test_|conftest$", part)}
                assert not tests, f"{path}:{node.lineno} imports {tests}"

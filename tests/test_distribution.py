"""What is handed out: a wheel and an sdist that install in an empty environment, and say what they
are."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def call(*words, **options):
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist and the wheel, by the project's own backend."""
    pytest.importorskip("hatchling", reason="the extra dev is not installed")
    folder = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "hatchling", "build", "-d", folder, cwd=ROOT)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


@pytest.mark.slow
def test_both_hold_the_package_and_nothing_of_a_machine(built):
    sdist, wheel = built
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"surefoot"}
    there = {p.relative_to(ROOT).as_posix() for p in (ROOT / "surefoot").rglob("*")}
    there = {name for name in there if Path(name).suffix in (".py", ".css", ".js", ".typed")}
    assert there - set(names) <= {"surefoot/py.typed"} - set(names)
    assert "surefoot/py.typed" in names
    with tarfile.open(sdist) as file:
        inside = {name.partition("/")[2] for name in file.getnames()}
    assert {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "mkdocs.yml"} <= inside
    assert not [name for name in inside if name.startswith((".venv", "runs/", "build/"))]


@pytest.mark.slow
def test_their_description_is_one_that_an_index_takes(built):
    pytest.importorskip("twine", reason="the extra dev is not installed")
    told = call(sys.executable, "-m", "twine", "check", "--strict", *built)
    assert told.count("PASSED") == 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_one_installs_in_an_empty_environment_and_the_doctor_passes(built, tmp_path, kind):
    """Its own dependencies alone; pip has to reach an index, or a cache."""
    package = built[kind == "wheel"]
    call(sys.executable, "-m", "venv", tmp_path / "venv")
    programs = tmp_path / "venv" / "bin"
    call(programs / "python", "-m", "pip", "install", "--quiet", package)
    told = call(programs / "surefoot", "doctor", cwd=tmp_path)
    assert "sound" in told
    version = call(programs / "surefoot", "--version", cwd=tmp_path).split()[1]
    assert version in built[1].name
    run = ["train", "reinforce", "CartPole-v1", "--steps", "64", "--num-envs", "2"]
    run += ["--horizon", "32", "--hidden", "8", "--out", "run", "--no-report"]
    shown = call(programs / "surefoot", *run, cwd=tmp_path)
    # The hint works as it is printed.
    hint = shown[shown.index("(") + 1 :] if "(" in shown else ""
    assert f"({programs / 'surefoot'} evaluate run)" in shown, hint
    call(programs / "surefoot", "evaluate", "run", "--episodes", "1", cwd=tmp_path)


def test_the_demo_and_start_install_what_they_use():
    """`make demo` ends with a report, and the pages name extras that exist."""
    made = (ROOT / "Makefile").read_text()
    demo = made[made.index("$(VENV)/.demo:") :].split("\n\n")[0]
    assert "'.[mujoco,report]'" in demo
    extras = PROJECT["project"]["optional-dependencies"]
    assert {"mujoco", "report"} <= set(extras)
    for page in (ROOT / "README.md", ROOT / "docs" / "start.md"):
        assert "pip install '.[mujoco,report]'" in page.read_text()
    assert any(one.startswith("twine") for one in extras["dev"])


def test_pictures_that_pages_show_are_there_and_small():
    for page in (ROOT / "README.md", ROOT / "docs" / "index.md"):
        text = page.read_text()
        above = text[: text.index("\n## ")]
        for name in ("cheetah.gif", "report.png", "learning.svg"):
            assert f"figures/{name}" in above, f"{page.name} does not begin with {name}"
            assert (ROOT / "docs" / "figures" / name).stat().st_size < 3e6

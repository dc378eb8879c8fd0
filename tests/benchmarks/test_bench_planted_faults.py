"""Planted faults: edits that fit the code, and a runner that tells what becomes of them."""

import ast
import collections
import json
import re
import subprocess
from pathlib import Path

import pytest

import surefoot as sf
from benchmarks.planted_faults import results, running
from benchmarks.planted_faults.__main__ import main
from benchmarks.planted_faults.fault import Fault
from benchmarks.planted_faults.planting import edited
from benchmarks.planted_faults.rooms import FAULTS, ROOMS
from benchmarks.planted_faults.testing import Suite

ROOT = Path(__file__).parents[2]
TESTS = collections.defaultdict(list)
for _path in (ROOT / "tests").rglob("test_*.py"):
    TESTS[_path.name].append(_path)


def test_there_are_enough_faults_in_every_room():
    assert len(FAULTS) >= 80
    assert set(ROOMS) == {path.parent.name for path in (ROOT / "surefoot").glob("*/*.py")}
    for room, faults in ROOMS.items():
        assert len(faults) >= 6, room
        assert {fault.room for fault in faults} == {room}
    assert not [name for name, n in collections.Counter(f.name for f in FAULTS).items() if n > 1]
    assert len({(f.file, f.old, f.new) for f in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("room", ROOMS)
def test_every_edit_is_of_text_that_occurs_once_and_leaves_a_program(room):
    for fault in ROOMS[room]:
        source = (ROOT / "surefoot" / fault.file).read_text()
        made = edited(source, fault)
        assert ast.dump(ast.parse(made)) != ast.dump(ast.parse(source)), fault.name
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", fault.name)
        assert fault.why.endswith(".")
        assert "\n" not in fault.why


def test_the_tests_that_faults_name_are_there():
    for fault in FAULTS:
        assert fault.tests, fault.name
        for name in fault.tests:
            file, _, test = name.partition("::")
            (path,) = TESTS[file]
            assert not test or f"\ndef {test}(" in path.read_text(), name


def test_the_list_has_every_fault(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [fault.name for fault in FAULTS]
    assert main(["list", "--room", "envs"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(ROOMS["envs"])


def test_mistakes_are_one_line(tmp_path, capsys):
    assert main(["run", "ratio-invert", "--results", str(tmp_path)]) == 2
    assert "Did you mean 'ratio-inverted'?" in capsys.readouterr().err
    assert main(["run", "ratio-inverted", "--room", "envs", "--results", str(tmp_path)]) == 2
    assert "envs has no fault 'ratio-inverted'" in capsys.readouterr().err
    assert main(["run", "--jobs", "0", "--results", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    with pytest.raises(sf.UsageError, match="occurs 2 times"):
        edited("a + a", Fault("twice", "core/a.py", "a", "b", "", ()))


CODE = "core/sums.py", "def add(a, b):\n    return a + b\n\n\ndef half(a):\n    return a / 2\n"
#: A test that starts a process.
STARTING = """
import subprocess
import sys

CODE = "from surefoot.core.sums import add; print(add(1, 2))"


def test_started():
    assert subprocess.check_output([sys.executable, "-c", CODE], text=True) == "3\\n"
"""
FILES = {
    ".gitignore": "__pycache__/\n",
    "surefoot/__init__.py": "",
    "surefoot/core/__init__.py": "",
    f"surefoot/{CODE[0]}": CODE[1],
    "tests/core/test_add.py": (
        "from surefoot.core.sums import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
    ),
    "tests/core/test_started.py": STARTING,
    "tests/test_half.py": (
        "from surefoot.core.sums import half\n\n\ndef test_half():\n    assert half(1) == 0.5\n"
    ),
    "tests/test_red.py": "def test_red():\n    raise ValueError('red')\n",
}


def fault(name, old, new, *tests):
    return Fault(name, CODE[0], old, new, "It is wrong.", tests)


OWN = fault("own", "a + b", "a - b", "test_add.py::test_add")
STARTED = fault("started", "a + b", "b - a", "test_started.py")
OTHER = fault("other", "a / 2", "a // 2", "test_add.py")
UNSEEN = fault("unseen", "def half(a):", "def half(a=1):", "test_add.py")
NONSENSE = fault("nonsense", "a + b", "a + c", "test_add.py")
BROKEN = fault("broken", "def add", "import nothing\n\n\ndef add", "test_add.py")
RED = fault("red", "a / 2", "a / 3", "test_red.py")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A package of one module, with its tests, under version control."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    top = tmp_path / "checkout"
    for name, text in FILES.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git = ["git", "-C", str(top), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "begin"]):
        subprocess.run([*git, *words], check=True)
    return top


def run(checkout, faults, *, whole):
    folder = checkout.parent / "results"
    suite = Suite(checkout, checkout.parent / "cache", name="fast", limit=60.0)
    return running.run(faults, suite, folder, whole=whole, jobs=2)


def verdicts(told):
    return {name: result.verdict for name, result in told.items()}


def test_what_becomes_of_a_fault(checkout, capsys):
    told = run(checkout, [OWN, STARTED, OTHER, NONSENSE, BROKEN, RED], whole=False)
    assert verdicts(told) == {
        "own": "caught",
        "started": "caught",
        "other": "survived",
        "nonsense": "invalid",
        "broken": "invalid",
        "red": "invalid",
    }
    assert told["own"].test == "tests/core/test_add.py::test_add"
    assert told["own"].confirmed
    assert told["nonsense"].message == "NameError: name 'c' is not defined"
    assert "ModuleNotFoundError: No module named 'nothing'" in told["broken"].message
    assert told["red"].message == "the test fails without the fault, too"
    assert {one.commit for one in told.values()} == {results.code_version(checkout)}
    assert (checkout / "surefoot" / CODE[0]).read_text() == CODE[1]
    capsys.readouterr()

    # What is known is taken; that a fault's own tests did not notice is no answer for all of them.
    path = checkout.parent / "results" / "fast" / "own.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"message": "of before"}))
    (checkout / "tests" / "test_red.py").unlink()
    subprocess.run(["git", "-C", str(checkout), "checkout", "-q", "."], check=True)
    assert run(checkout, [OWN, OTHER], whole=False)["own"].message == "of before"
    assert capsys.readouterr().out == ""
    shown = results.summary({"core": [OWN, OTHER]}, told)
    assert re.search(r"^core +1 +1 +0 +0$", shown, re.MULTILINE)
    assert "other: survived" in shown


def test_the_rest_of_the_suite_comes_after_a_faults_own_tests(checkout):
    (checkout / "tests" / "test_red.py").write_text("")
    told = run(checkout, [OTHER, UNSEEN], whole=True)
    assert verdicts(told) == {"other": "caught", "unseen": "survived"}
    assert told["other"].test == "tests/test_half.py::test_half"
    assert told["other"].commit.endswith("-dirty")


def test_those_of_the_faults_room_are_the_first_of_the_rest(checkout):
    (checkout / "tests" / "agents").mkdir()
    (checkout / "tests" / "agents" / "test_agent.py").write_text("")
    suite = Suite(checkout, checkout.parent / "cache", name="fast")
    *folders, done = suite.rest(OWN)
    assert folders == ["tests/core", "tests/agents", "tests/test_half.py", "tests/test_red.py"]
    assert done == "--deselect=tests/core/test_add.py::test_add"


def test_tests_of_another_copy_are_a_mistake(checkout):
    # pytest puts the folder of such a file first.
    (checkout / "conftest.py").write_text("import surefoot\n")
    with pytest.raises(sf.UsageError, match="not with the copy that has the fault"):
        run(checkout, [OWN], whole=False)
    unknown = fault("unknown", "a + b", "a - b", "test_nowhere.py")
    with pytest.raises(sf.UsageError, match="of which there are 0"):
        run(checkout, [unknown], whole=False)


def test_tests_that_never_end_are_ended(checkout):
    endless = fault("endless", "return a + b", "while True:\n        pass", "test_add.py")
    suite = Suite(checkout, checkout.parent / "cache", name="fast", limit=2.0)
    told = running.examine(endless, suite, None, whole=False)
    assert (told.verdict, told.test) == ("timed out", None)

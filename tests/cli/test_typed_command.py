"""Hints in messages are commands that work where they are printed."""

import io
import re
import shlex
import sys

import pytest
from rich.console import Console

from surefoot.cli import main as cli
from surefoot.cli.commands import messages
from surefoot.cli.typed_command import program, runnable

HINT = "run: runs/a   (surefoot evaluate runs/a)"


@pytest.fixture
def bin_folder(tmp_path, monkeypatch):
    """A virtual environment's programs; the PATH leads to none."""
    folder = tmp_path / "a b" / "bin"
    folder.mkdir(parents=True)
    for name in ("surefoot", "python", "pip"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    return folder


def test_on_the_path_it_is_called_by_its_name(bin_folder, monkeypatch):
    monkeypatch.setenv("PATH", str(bin_folder))
    monkeypatch.setattr(sys, "argv", [str(bin_folder / "surefoot"), "train"])
    pip = "a report needs plotly: pip install 'surefoot[report]'"
    assert [runnable(text) for text in (HINT, pip)] == [HINT, pip]
    monkeypatch.setattr(sys, "argv", [str(bin_folder / "cli" / "__main__.py")])
    assert program() == "python -m surefoot.cli"


@pytest.mark.parametrize("typed", [".venv/bin/surefoot", None], ids=["relative", "absolute"])
def test_off_the_path_it_is_called_as_it_was_typed(bin_folder, monkeypatch, typed):
    typed = typed or str(bin_folder / "surefoot")
    monkeypatch.setattr(sys, "argv", [typed, "train"])
    shown = runnable(HINT)
    assert shlex.split(re.search(r"\((.*)\)", shown)[1]) == [typed, "evaluate", "runs/a"]
    hint = runnable("none: pip install 'surefoot[report]'").removeprefix("none: ")
    python = str(bin_folder / "python")
    assert shlex.split(hint) == [python, "-m", "pip", "install", "surefoot[report]"]
    monkeypatch.setattr(sys, "argv", [str(bin_folder / "cli" / "__main__.py")])
    assert shlex.split(program()) == [python, "-m", "surefoot.cli"]


def test_another_surefoot_on_the_path_is_not_this_one(bin_folder, tmp_path, monkeypatch):
    (tmp_path / "surefoot").write_text("#!/bin/sh\n")
    (tmp_path / "surefoot").chmod(0o755)
    monkeypatch.setattr(sys, "argv", [".venv/bin/surefoot"])
    assert program() == ".venv/bin/surefoot"


@pytest.mark.parametrize("called", ["script.py", "/usr/lib/pytest/__main__.py", "-c", ""])
def test_within_another_program_it_has_its_name(bin_folder, monkeypatch, called):
    monkeypatch.setattr(sys, "argv", [called])
    assert program() == "surefoot"


def test_what_only_looks_like_a_command_stays(monkeypatch):
    monkeypatch.setattr(sys, "argv", [".venv/bin/surefoot"])
    for text in ("surefoot: no", "'surefoot[report]'", "made by surefoot 0.1", "my-surefoot train"):
        assert runnable(text) == text


def test_every_message_goes_through_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", [".venv/bin/surefoot"])
    console = Console(file=io.StringIO(), width=200)
    messages.print_line(console, HINT)
    assert ".venv/bin/surefoot evaluate" in console.file.getvalue()
    assert cli.main(["resume", str(tmp_path)]) == 2
    assert "'.venv/bin/surefoot train' wrote" in capsys.readouterr().err

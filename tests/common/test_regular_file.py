"""Reading files of another hand: what would hold a reader up for ever is refused."""

import os
import shutil

import pytest

from surefoot.cli.main import main
from surefoot.common.files import regular_file
from surefoot.common.files.regular_file import lines, open_to_read


def pipe(path):
    os.mkfifo(path)


def endless(path):
    path.symlink_to("/dev/zero")


def folder(path):
    path.mkdir()


KINDS = {"pipe": pipe, "endless": endless, "folder": folder}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_regular_file_is_an_error(kind, tmp_path):
    KINDS[kind](tmp_path / "x")
    with pytest.raises(OSError, match=r"no regular file|Is a directory"):
        open_to_read(tmp_path / "x")


def test_a_regular_file_is_read_also_through_a_link(tmp_path):
    (tmp_path / "x").write_bytes(b"a\nb")
    (tmp_path / "link").symlink_to(tmp_path / "x")
    with open_to_read(tmp_path / "link") as file:
        assert file.read() == b"a\nb"
    with open_to_read(tmp_path / "x") as file:
        assert list(lines(file)) == [b"a\n", b"b"]


def test_a_line_has_a_longest_length(tmp_path, monkeypatch):
    monkeypatch.setattr(regular_file, "LONGEST_LINE", 4)
    (tmp_path / "x").write_bytes(b"abc\nabcd\n")
    with open_to_read(tmp_path / "x") as file, pytest.raises(OSError, match="more than 4 bytes"):
        list(lines(file))


COMMANDS = {
    "report": (["report", "RUN", "-o", "RUN.html"], ["config.json", "metrics.jsonl"]),
    "resume": (["resume", "RUN", "--no-report"], ["config.json", "metrics.jsonl"]),
    "inspect": (["inspect", "RUN"], ["config.json", "metrics.jsonl"]),
    "evaluate": (["evaluate", "RUN"], ["agent/manifest.json", "agent/arrays.safetensors"]),
    "record": (["record", "RUN"], ["agent/manifest.json", "agent/arrays.safetensors"]),
}


@pytest.mark.parametrize("kind", ["pipe", "endless"])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_waits_for_a_file_of_a_run(command, kind, trained, tmp_path, capsys):
    words, files = COMMANDS[command]
    source = trained()
    for number, name in enumerate(files):
        run = tmp_path / str(number)
        shutil.copytree(source, run)
        (run / name).unlink()
        KINDS[kind](run / name)
        assert main([word.replace("RUN", str(run)) for word in words]) == 2
        said = capsys.readouterr().err
        assert said.startswith("surefoot: ")
        assert said.count("\n") == 1


@pytest.mark.parametrize("kind", ["pipe", "endless"])
def test_watching_passes_it_over(kind, trained, tmp_path):
    for number, name in enumerate(("config.json", "metrics.jsonl", "evaluations.jsonl")):
        run = tmp_path / str(number)
        shutil.copytree(trained(), run)
        (run / name).unlink(missing_ok=True)
        KINDS[kind](run / name)
        assert main(["watch", str(tmp_path), "--once"]) == 0
        assert main(["watch", str(run), "--once"]) == 0

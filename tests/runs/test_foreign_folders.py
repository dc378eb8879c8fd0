"""Folders of another hand: a run that is gone on with writes in its own files alone, whatever lies
where it writes, and what reads a folder reads files alone."""

import contextlib
import os
import shutil
import signal

import pytest

import surefoot as sf
from support.runs import BATCH
from support.suites import cases
from surefoot import reporting
from surefoot.cli.main import main
from surefoot.common.files import regular_file
from surefoot.common.files.append_only import AppendOnlyFile
from surefoot.common.files.array_folder import load
from surefoot.common.files.folder_lock import acquire_lock, is_held
from surefoot.common.files.json_reading import document
from surefoot.runs.display.tail import Tail
from surefoot.runs.display.watched_run import RunWatcher
from surefoot.runs.folder import checkpoints

KEPT = "not the run's\n"


def to_file(place, away):
    os.symlink(away / "file", place)


def to_folder(place, away):
    os.symlink(away, place)


def to_nothing(place, away):
    os.symlink(away / "missing", place)


def second_name(place, away):
    os.link(away / "file", place)


def pipe(place, away):
    os.mkfifo(place)


FILES = [".lock", "metrics.jsonl", "metrics.csv", "evaluations.jsonl", "wandb/id"]
FOLDERS = ["checkpoints", "agent", "best", "tensorboard", "wandb"]
HOSTILE = [
    *((name, kind) for name in FILES for kind in (to_file, to_nothing, second_name, pipe)),
    *((name, kind) for name in FOLDERS for kind in (to_folder, to_nothing, to_file, pipe)),
    ("checkpoints/00000003", to_folder),
]


def replaced(folder, name, kind):
    """What is elsewhere, where something at that name in the folder leads to."""
    away = folder.with_name("away")
    away.mkdir()
    (away / "file").write_text(KEPT)
    place = folder / name
    place.parent.mkdir(exist_ok=True)
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    kind(place, away)
    return away


def unchanged(away):
    assert (away / "file").read_text() == KEPT
    assert [path.name for path in away.iterdir()] == ["file"]


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if path.name != ".lock"
    }


@contextlib.contextmanager
def soon():
    """Fails where what is within blocks."""

    def late(*_):
        raise AssertionError("blocked")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained(), tmp_path / "run")


@pytest.mark.parametrize(("name", "kind"), HOSTILE)
def test_a_run_is_not_gone_on_with_through_a_link(copy, name, kind, capsys):
    away = replaced(copy, name, kind)
    before = contents(copy)
    with soon():
        assert main(["resume", str(copy), f"--steps={BATCH * 6}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{copy / name} " in line
    assert "a run writes in its own files alone: " in line
    unchanged(away)
    assert contents(copy) == before


def test_a_folder_of_seeds_has_no_links_to_runs(copy, tmp_path):
    before = contents(copy)
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    (seeds / "seed-0").symlink_to(copy)
    with pytest.raises(sf.UsageError, match=r"seed-0 is a link, and a run writes in its own"):
        sf.resume(seeds)
    assert contents(copy) == before


def test_the_path_of_a_run_may_be_a_link(copy, tmp_path):
    """It is the user's own word."""
    (tmp_path / "latest").symlink_to(copy)
    sf.resume(tmp_path / "latest")


def test_what_is_left_in_a_folder_is_not_taken_off_through_a_link(tmp_path):
    (tmp_path / "run").mkdir()
    away = replaced(tmp_path / "run", ".00000003-left", to_folder)
    checkpoints.sweep(tmp_path / "run")
    unchanged(away)


@pytest.mark.parametrize("kind", [to_file, to_nothing, second_name, pipe])
def test_a_file_that_became_another_meanwhile_is_not_written(tmp_path, kind):
    """Between the look at a folder and the first write somebody may have changed it."""
    (tmp_path / "run").mkdir()
    away = replaced(tmp_path / "run", "metrics.jsonl", kind)
    file = AppendOnlyFile(tmp_path / "run" / "metrics.jsonl", keep=0)
    file.add(b"row\n")
    with soon(), pytest.raises(OSError, match=r"is a link|another name|no regular file"):
        file.flush()
    unchanged(away)


@pytest.mark.parametrize("kind", [to_file, to_nothing, second_name, pipe])
def test_a_new_file_takes_the_place_of_whatever_is_there(tmp_path, kind):
    (tmp_path / "run").mkdir()
    away = replaced(tmp_path / "run", "metrics.csv", kind)
    file = AppendOnlyFile(tmp_path / "run" / "metrics.csv")
    file.add(b"row\n")
    with soon():
        file.flush()
    file.close()
    assert (tmp_path / "run" / "metrics.csv").read_bytes() == b"row\n"
    unchanged(away)


@pytest.mark.parametrize("kind", [to_file, to_nothing, second_name, pipe])
def test_a_lock_is_a_file_of_its_own(tmp_path, kind):
    (tmp_path / "run").mkdir()
    away = replaced(tmp_path / "run", ".lock", kind)
    with soon():
        assert is_held(tmp_path / "run") is None
        with pytest.raises(sf.UsageError, match=r"is a link|another name|no regular file"):
            acquire_lock(tmp_path / "run")
    unchanged(away)


def test_checkpoints_are_not_written_through_a_link(trained, tmp_path):
    (tmp_path / "run").mkdir()
    away = replaced(tmp_path / "run", "checkpoints", to_folder)
    made = trained()
    found, _ = checkpoints.newest(made / "checkpoints", made / "metrics.jsonl")
    with pytest.raises(OSError, match="is a link"):
        checkpoints.write(tmp_path / "run" / "checkpoints", found)
    unchanged(away)


def endless(place, away):
    os.symlink("/dev/zero", place)


BLOCKING = cases([pipe, endless, to_folder, to_nothing], fast=[pipe, endless])


@pytest.mark.parametrize("kind", BLOCKING)
@pytest.mark.parametrize("name", ["metrics.jsonl", "evaluations.jsonl", "config.json"])
def test_what_is_no_file_is_not_read(copy, tmp_path, name, kind, capsys):
    replaced(copy, name, kind)
    page = tmp_path / "page.html"
    with soon():
        RunWatcher(copy).poll()
        assert main(["watch", str(copy), "--once"]) in (0, 2)
        code = main(["report", str(copy), f"--out={page}"])
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert page.exists() == (code == 0)
    assert len(said.splitlines()) == (code == 2)


@pytest.mark.parametrize("kind", [pipe, endless])
def test_checkpoints_and_agents_are_read_from_files(copy, kind):
    replaced(copy, "agent/arrays.safetensors", kind)
    with soon(), pytest.raises(sf.UsageError, match="no regular file"):
        load(copy / "agent")
    with soon(), pytest.raises(OSError, match="no regular file"):
        document(copy / "agent" / "arrays.safetensors")


def test_a_line_has_an_end(copy, tmp_path, monkeypatch, capsys):
    """A file without one is read to the limit and no further."""
    rows = (copy / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    longest = max(map(len, rows))
    monkeypatch.setattr(regular_file, "LONGEST_LINE", longest)
    monkeypatch.setattr("surefoot.runs.display.tail.LONGEST_LINE", longest)
    assert len(Tail(copy / "metrics.jsonl").read().rows) == len(rows)
    with (copy / "metrics.jsonl").open("ab") as file:
        file.write(b" " * (longest + 1))
    assert main(["report", str(copy), f"--out={tmp_path / 'page.html'}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "metrics.jsonl cannot be read: has a line of more than" in line
    tail = Tail(copy / "metrics.jsonl")
    assert len(tail.read().rows) == len(rows)
    with (copy / "metrics.jsonl").open("ab") as file:
        file.write(b"\n" + rows[0])
    assert tail.read().rows == []
    (copy / "metrics.jsonl").write_bytes(rows[0])
    assert len(tail.read().rows) == 1


def test_the_report_takes_the_place_of_a_link(copy):
    away = replaced(copy, "report.html", to_file)
    reporting.write([copy], copy / "report.html")
    unchanged(away)
    assert not (copy / "report.html").is_symlink()

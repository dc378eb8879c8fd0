"""The tests' own tools: which programs are kept, which cases are slow, where the time goes."""

import os
from pathlib import Path

import jax
import pytest
from jax._src import compilation_cache

from support import compiled, runs
from support.suites import cases


def test_programs_go_into_a_folder_of_this_process_whose_name_is_in_no_programs_key():
    folder = jax.config.jax_compilation_cache_dir
    assert compiled.PRIVATE in folder
    assert jax.config.jax_persistent_cache_enable_xla_caches == "none"


def test_new_programs_that_are_whole_are_given_to_all(tmp_path):
    own, common = tmp_path / "own", tmp_path / "common"
    for folder, names in ((own, "ab"), (common, "bc")):
        folder.mkdir()
        for name in names:
            program = compilation_cache.compress_executable(folder.name.encode() * 99)
            (folder / f"{name}-cache").write_bytes(program)
    (own / "d-cache").write_bytes(program[:-4])
    compiled._publish(own, common)
    unpack = compilation_cache.decompress_executable
    told = {path.name[0]: unpack(path.read_bytes())[:3] for path in common.iterdir()}
    assert told == {"a": b"own", "b": b"com", "c": b"com"}


def test_of_too_large_a_folder_the_oldest_programs_go(tmp_path):
    for age, name in enumerate("abcd"):
        (tmp_path / f"{name}-cache").write_bytes(bytes(10))
        os.utime(tmp_path / f"{name}-cache", (0, 100 - age))
    compiled._shrink(tmp_path, 25)
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells")
def test_near_the_limit_of_mappings_all_programs_are_forgotten(monkeypatch):
    forgotten = []
    monkeypatch.setattr(compiled, "forget_programs", lambda: forgotten.append(1))
    mappings = compiled.Mappings()
    monkeypatch.setattr(compiled, "SHARE", 0.0)
    mappings.look()
    assert not forgotten, "nothing was compiled"
    jax.jit(lambda x: x + 0.125)(1.0)
    mappings.look()
    mappings.look()
    assert forgotten == [1]
    monkeypatch.setattr(compiled, "SHARE", 1.0)
    jax.jit(lambda x: x + 0.25)(1.0)
    mappings.look()
    assert forgotten == [1]


def test_a_run_is_made_once_and_whoever_changes_it_fails(tmp_path, monkeypatch):
    made = []

    def train(algorithm, env, *, out, **options):
        made.append((algorithm, env, options["num_envs"]))
        out.mkdir(parents=True)
        (out / "metrics.jsonl").write_text("{}")

    monkeypatch.setattr(runs.sf, "train", train)
    one, other = runs.SharedRuns(tmp_path / "runs"), runs.SharedRuns(tmp_path / "runs")
    assert one("trpo") == other("trpo") != one("trpo", num_envs=2)
    assert made == [("trpo", "CartPole-v1", 4), ("trpo", "CartPole-v1", 2)]
    one.check()
    (other("trpo") / "metrics.jsonl").write_text("{ }")
    with pytest.raises(AssertionError, match="it takes a copy"):
        one.check()


def test_a_run_that_failed_is_made_anew(tmp_path, monkeypatch):
    def train(algorithm, env, *, out, **options):
        out.mkdir(parents=True)
        if not fine:
            raise OSError("full")

    monkeypatch.setattr(runs.sf, "train", train)
    shared, fine = runs.SharedRuns(tmp_path), False
    with pytest.raises(OSError, match="full"):
        shared()
    fine = True
    assert shared().is_dir()


def test_cases_that_are_not_named_are_slow():
    quick, late = cases([1, 2], fast=[1])
    assert quick == 1
    assert (late.values, [mark.name for mark in late.marks]) == ((2,), ["slow"])
    with pytest.raises(AssertionError):
        cases([1, 2], fast=[3])

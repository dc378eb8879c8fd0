"""The tests' own tools: which programs are kept, which cases are slow, where the time goes."""

import os

import jax
import pytest

from support import compiled
from support.suites import cases


def test_programs_go_into_a_folder_of_this_process_whose_name_is_in_no_programs_key():
    folder = jax.config.jax_compilation_cache_dir
    assert compiled.PRIVATE in folder
    assert jax.config.jax_persistent_cache_enable_xla_caches == "none"


def test_a_folder_is_filled_from_another_and_never_written_over(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, names in ((one, "ab"), (other, "bc")):
        folder.mkdir()
        for name in names:
            (folder / f"{name}-cache").write_text(folder.name)
    compiled._link(one, other)
    told = {path.name[0]: path.read_text() for path in other.iterdir()}
    assert told == {"a": "one", "b": "other", "c": "other"}


def test_of_too_large_a_folder_the_oldest_programs_go(tmp_path):
    for age, name in enumerate("abcd"):
        (tmp_path / f"{name}-cache").write_bytes(bytes(10))
        os.utime(tmp_path / f"{name}-cache", (0, 100 - age))
    compiled._shrink(tmp_path, 25)
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["a", "b"]


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


def test_cases_that_are_not_named_are_slow():
    quick, late = cases([1, 2], fast=[1])
    assert quick == 1
    assert (late.values, [mark.name for mark in late.marks]) == ((2,), ["slow"])
    with pytest.raises(AssertionError):
        cases([1, 2], fast=[3])

"""How JAX is set up: before it is imported, only where nothing was said, and what that buys."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys

import gymnasium
import jax
import numpy as np
import pytest

import surefoot as sf
from support.suites import cases
from surefoot.agents.playing.policy_spec import PolicySpec
from surefoot.common import jax_setup
from surefoot.core.networks.architecture import Architecture

PROBE = """
import json, os, sys
{before}
import surefoot
assert ("jax" in sys.modules) == {imported}
import jax
import surefoot.runs.options
surefoot.runs.options.prepare("reinforce", "CartPole-v1", {{}})
values = jax.config.values
print(json.dumps([jax.config.jax_compilation_cache_dir, values["jax_cpu_enable_async_dispatch"],
                  surefoot.common.jax_setup.cores()]))
# JAX itself has 1 for one of them, where nobody has another.
left = [name for name in {ours} if name in os.environ
        and (name, os.environ[name]) != ("TF_CPP_MIN_LOG_LEVEL", "1")]
print(json.dumps(left))
"""
NAMES = (
    "NPROC",
    "TF_CPP_MIN_LOG_LEVEL",
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_COMPILATION_CACHE_MAX_SIZE",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
)
INHERITED = f"""
import json, os, subprocess, sys
import surefoot as sf
sf.train("reinforce", "CartPole-v1", steps=16, num_envs=1, horizon=8, hidden=(4,))
code = "import json, os; print(json.dumps({{x: os.environ.get(x) for x in {NAMES}}}))"
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout)
"""
TRAIN = """
import surefoot as sf
import jax
hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event.rsplit("/", 1)[-1]))
sf.train("reinforce", "CartPole-v1", steps=16, num_envs=1, horizon=8, hidden=(4,), seed=SEED)
print(hits.count("cache_hits"), hits.count("cache_misses"))
"""


def run(code, **variables):
    """(standard output, standard error) of the code in a process of its own."""
    names = ("NPROC", "TF_CPP_MIN_LOG_LEVEL", "SUREFOOT_CACHE")
    clean = {k: v for k, v in os.environ.items() if k not in names and "JAX" not in k}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env={**clean, **variables}, capture_output=True, text=True, check=True
    )
    return done.stdout, done.stderr


def probe(before="", *, imported=False, **variables):
    code = PROBE.format(before=before, imported=imported, ours=NAMES)
    found, left = run(code, **variables)[0].splitlines()
    # Whatever was set here is not for other processes.
    assert set(json.loads(left)) == set(NAMES) & set(variables)
    return json.loads(found)


def test_small_calls_run_in_place_and_programs_are_kept_in_the_users_cache(tmp_path):
    cache, asynchronous, threads = probe(XDG_CACHE_HOME=str(tmp_path), HOME=str(tmp_path))
    assert cache.startswith(str(tmp_path))
    assert "surefoot" in cache
    assert asynchronous is False
    assert threads == "1"


MADE = ["sf.Fixed(0.1)", "sf.recipes.PPOClip().build()", "sf.schedules.linear"]


@pytest.mark.parametrize("made", cases(MADE, fast=MADE[:1]))
def test_a_part_or_a_recipe_is_enough_to_set_jax_up(made):
    code = f"""
import surefoot as sf
{made}
import jax
print(jax.config.values["jax_cpu_enable_async_dispatch"])
"""
    assert run(code, SUREFOOT_CACHE="off")[0] == "False\n"


def test_what_the_user_has_set_stands(tmp_path):
    folder = str(tmp_path / "chosen")
    set_by_user = {"JAX_COMPILATION_CACHE_DIR": folder, "NPROC": "3"}
    assert probe(SUREFOOT_CACHE="off", **set_by_user) == [folder, False, "3"]


@pytest.mark.slow
def test_each_that_the_user_has_set_stands(tmp_path):
    assert probe(SUREFOOT_CACHE="off", NPROC="3") == [None, False, "3"]
    assert probe(SUREFOOT_CACHE=str(tmp_path))[0].startswith(str(tmp_path))
    folder = str(tmp_path / "chosen")
    assert probe(JAX_COMPILATION_CACHE_DIR=folder) == [folder, False, "1"]


def test_the_folder_that_is_chosen_is_used_if_it_can_be(tmp_path, monkeypatch):
    def folder(chosen):
        monkeypatch.setenv("SUREFOOT_CACHE", chosen)
        return jax_setup._cache_folder()

    assert folder("off") is None
    assert folder(str(tmp_path / "new")).parent == tmp_path / "new"
    assert folder(str(tmp_path / "new")).is_dir()
    (tmp_path / "file").write_text("")
    assert folder(str(tmp_path / "file" / "below")) is None


BESIDE = """
import surefoot as sf
sf.Fixed(1e-3)  # holds an array: JAX has computed
import threading
import jax, jax.numpy as jnp
heavy = jax.jit(lambda x: jax.lax.fori_loop(0, 4000, lambda _, y: jnp.tanh(y @ x) + 1e-3, x))
small = jax.jit(lambda x: x + 1)
x = jnp.ones((96, 96)) / 96
jax.block_until_ready((heavy(x), small(x)))
thread = threading.Thread(target=lambda: jax.block_until_ready(heavy(x)))
thread.start()
calls = 0
while thread.is_alive():
    jax.block_until_ready(small(x))
    calls += 1
print(calls)
"""


@pytest.mark.slow
def test_small_calls_do_not_wait_for_a_large_one_in_another_thread():
    calls, _ = run(BESIDE, SUREFOOT_CACHE="off")
    assert int(calls) > 20


@pytest.mark.slow
def test_an_unusable_cache_folder_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    assert probe(SUREFOOT_CACHE=str(tmp_path / "file" / "below"))[0] is None


def test_jax_is_left_alone_where_it_was_imported_before():
    assert probe("import jax", imported=True) == [None, True, "all"]


@pytest.mark.slow
def test_what_was_set_is_not_inherited_by_other_processes(filled):
    folder = str(filled[0])
    inherited = json.loads(run(INHERITED, SUREFOOT_CACHE=folder)[0])
    assert inherited == dict.fromkeys(NAMES)


@pytest.mark.slow
def test_what_the_user_has_set_is_inherited(filled):
    chosen = {"NPROC": "3", "TF_CPP_MIN_LOG_LEVEL": "2"}
    inherited = json.loads(run(INHERITED, SUREFOOT_CACHE=str(filled[0]), **chosen)[0])
    assert inherited == {**dict.fromkeys(NAMES), **chosen}


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A folder of programs, and how many a first process found there and compiled."""
    folder = tmp_path_factory.mktemp("filled")
    first, _ = run(TRAIN.replace("SEED", "0"), SUREFOOT_CACHE=str(folder))
    return folder, *map(int, first.split())


def test_a_second_process_compiles_nothing_whatever_its_seed_and_says_nothing(filled):
    folder, hits, misses = filled
    assert misses > 5
    second, said = run(TRAIN.replace("SEED", "1"), SUREFOOT_CACHE=str(folder))
    again, missed = map(int, second.split())
    assert missed == 0
    assert again >= hits + misses
    assert said == ""


def cut_short(folder):
    """Leave a program as a process does that was ended while it wrote; how many there are."""
    programs = sorted(folder.glob("*-cache"))
    programs[0].write_bytes(programs[0].read_bytes()[:100])
    programs[0].with_name(programs[0].name.removesuffix("-cache") + "-atime").unlink()
    return len(programs)


def test_a_program_that_was_cut_short_is_taken_off(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}-cache").write_bytes(bytes(1000))
        (tmp_path / f"{name}-atime").write_bytes(b"")
    assert cut_short(tmp_path) == 2
    jax_setup._sweep(tmp_path)
    assert [path.name for path in tmp_path.glob("*-cache")] == ["b-cache"]


@pytest.mark.slow
def test_a_program_that_was_cut_short_does_not_spoil_the_cache(filled):
    folder, _, misses = filled
    # In its place: JAX looks for a program under another name where the folder is another one.
    (kept,) = (p for p in folder.iterdir() if p.is_dir())
    programs = cut_short(kept)
    out, err = run(TRAIN.replace("SEED", "0"), SUREFOOT_CACHE=str(folder))
    assert misses > 1
    assert out.split()[1] == "1"
    assert "Error" not in err
    assert len(list(kept.glob("*-cache"))) == programs


@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning")
def test_a_process_that_was_forked_after_jax_computed_says_so():
    jax.block_until_ready(jax.numpy.zeros(1))
    agent = sf.Agent(*POLICY)
    agent.predict(np.zeros(4))
    calls = [
        lambda: sf.train("trpo", "CartPole-v1"),
        lambda: agent.evaluate(1, env="CartPole-v1"),
        lambda: agent.predict(np.zeros((3, 4))),  # Of another shape: it would be compiled.
        lambda: agent.predict(np.zeros(4)) and None,
    ]
    receive, send = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        try:
            send.send([said(call) for call in calls])
        finally:
            os._exit(0)
    try:
        assert receive.poll(40), "it waits"
        *refused, same = receive.recv()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    for text in refused:
        assert "was forked from one in which JAX had computed" in text
        assert "get_context('spawn')" in text
    assert same is None
    jax_setup.check_forked()


def said(call):
    """The message of the mistake, if it is one."""
    try:
        call()
    except sf.UsageError as error:
        return str(error)
    return None


SPEC = PolicySpec(
    gymnasium.spaces.Box(-1, 1, (4,)),
    gymnasium.spaces.Discrete(2),
    Architecture(hidden=(8,)),
    0.0,
    False,
    "clip",
    False,
)
POLICY = SPEC.policy(jax.random.key(0)), SPEC.normalizer(), SPEC


@pytest.mark.parametrize("error", [AssertionError(), RuntimeError("Unable to\ninitialize")])
def test_a_platform_that_is_not_there_is_one_line(error, monkeypatch, tmp_path):
    def devices():
        raise error

    monkeypatch.setattr(jax, "devices", devices)
    for call in (
        lambda: sf.train("trpo", "CartPole-v1", out=tmp_path / "run"),
        lambda: sf.load(tmp_path),
        jax_setup.check_backend,
    ):
        with pytest.raises(sf.UsageError, match="unset it, or install JAX") as raised:
            call()
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()

"""A resumed run is the run that was not interrupted, and nothing damaged is gone on from."""

import errno
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv

import surefoot as sf
from support.runs import BATCH, TINY, arrays, untimed
from support.suites import cases
from surefoot.cli.main import main
from surefoot.common.files import array_folder
from surefoot.common.files.folder_lock import is_held
from surefoot.envs.host import episode_history
from surefoot.methods.registry import find_recipe
from surefoot.runs.display.progress import CallbackDisplay
from surefoot.runs.earlier.reproduce import reproduce
from surefoot.runs.earlier.restored import restored
from surefoot.runs.earlier.schedule_end import schedule_end
from surefoot.runs.execute import execute
from surefoot.runs.folder import checkpoints, step_budget
from surefoot.runs.folder.metrics_file import JsonLines
from surefoot.runs.options import prepare

SMALL = {**TINY, "steps": BATCH * 5, "checkpoint_every": 0}


class Hidden(gymnasium.Env):
    """A walk, optionally with randomness that no seed decides; of CartPole's spaces, whose programs
    it shares."""

    observation_space = spaces.Box(-np.inf, np.inf, (4,))
    action_space = spaces.Discrete(2)
    secret = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._age, self._at = 0, self.np_random.normal(size=4).astype(np.float32)
        return self._at, {}

    def step(self, action):
        self._age += 1
        source = self.np_random if self.secret is None else self.secret
        self._at = (0.9 * self._at + source.normal(size=4)).astype(np.float32)
        return self._at, -abs(float(action - self._at[0])), False, self._age == 20, {}


class Continuous(Hidden):
    action_space = spaces.Box(-1.0, 1.0, (1,))

    def step(self, action):
        return super().step(action[0])


class Costly(Hidden):
    def step(self, action):
        obs, *rest, _ = super().step(action)
        return obs, *rest, {"cost": float(obs[0] > 0)}


class Secretive(Hidden):
    secret = np.random.default_rng()


class Interrupt(CallbackDisplay):
    """Ends the process, as it were, after some iterations."""

    def __init__(self, after):
        self._left = after
        super().__init__(show=self._count)

    def _count(self, iteration):
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt


class Notes(CallbackDisplay):
    def __init__(self):
        self.notes = []
        super().__init__(note=self.notes.append)


def cut(algorithm, env, folder, *, after=2, **options):
    with pytest.raises(KeyboardInterrupt):
        sf.train(
            algorithm,
            env,
            out=folder,
            display=lambda _: Interrupt(after),
            **{**SMALL, **options},
        )


def same(one, other):
    assert untimed(one) == untimed(other)
    ours, theirs = arrays(one), arrays(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    for folder in (one, other):
        assert sf.load(folder).provenance["trained_steps"] == untimed(folder)[-1]["steps"]


CASES = {
    "trpo": ("trpo", "CartPole-v1", {}),
    "ppo_kl": ("ppo_kl", "CartPole-v1", {"minibatch_size": 32}),
    "warm start": (
        "trpo",
        "CartPole-v1",
        {"cg_warm_start": True, "cg_preconditioner": True, "cg_progress": True},
    ),
    "acktr": ("acktr", Continuous, {}),
    "ppo_adaptive_lr": ("ppo_adaptive_lr", "CartPole-v1", {"minibatch_size": 32}),
    "continuous": ("ppo_kl", "Pendulum-v1", {"minibatch_size": 32}),
    "reinforce": ("reinforce", "CartPole-v1", {"horizon": 64, "steps": 256 * 4}),
    "limits on costs": ("cpo", Costly, {"cost_limit": 5.0}),
    "a multiplier": ("ppo_lagrangian", Costly, {"cost_limit": 5.0, "minibatch_size": 32}),
    "weights": ("v_mpo", "CartPole-v1", {"minibatch_size": 32}),
    "cma_es": ("cma_es", "CartPole-v1", {"num_envs": 4, "covariance": "full"}),
    "cem": ("cem", "CartPole-v1", {"num_envs": 4, "elite_fraction": 0.5}),
    "earlier batches": ("geppo", "CartPole-v1", {"minibatch_size": 32}),
    "earlier batches on the device": ("trpo", "CartPole-v1", {"reuse": 2, "backend": "device"}),
    "threads": ("trpo", "CartPole-v1", {"vectorization": "thread"}),
    "device": ("reinforce", "CartPole-v1", {"backend": "device"}),
    "device TRPO": ("trpo", "CartPole-v1", {"backend": "device"}),
    "device PPO": ("ppo_clip", "Pendulum-v1", {"backend": "device", "minibatch_size": 32}),
    "one call for all": (
        "trpo",
        "CartPole-v1",
        {"backend": "device", "checkpoint_every": 60.0, "steps": 128 * 5},
    ),
}


@pytest.mark.parametrize(
    "name",
    cases(
        CASES,
        fast=["trpo", "ppo_kl", "cem", "threads", "device", "earlier batches", "limits on costs"],
    ),
)
def test_a_resumed_run_is_the_one_that_was_not_interrupted(name, trained, tmp_path):
    algorithm, env, options = CASES[name]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    if env == "CartPole-v1":
        whole = trained(algorithm, env, **{**SMALL, **options})
    else:
        sf.train(algorithm, env, out=whole, **{**SMALL, **options})
    cut(algorithm, env, broken, **options)
    if name != "one call for all":
        assert len(untimed(broken)) < len(untimed(whole))
        given = {} if isinstance(env, str) else {"env": env}
        sf.resume(broken, **given)
    else:
        # The device had done all of it in one call before the interruption.
        assert len(untimed(broken)) == 2
        assert checkpoints.paths(broken / "checkpoints") == []
        return
    same(whole, broken)


def test_a_run_may_be_resumed_again_and_again(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    sf.train("trpo", Hidden, out=whole, **SMALL)
    cut("trpo", Hidden, broken, after=1)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            sf.resume(broken, env=Hidden, display=lambda _: Interrupt(1))
    sf.resume(broken, env=Hidden)
    same(whole, broken)
    assert [int(p.name) for p in checkpoints.paths(broken / "checkpoints")] == [3, 4, 5]


def test_recorded_data_is_learned_from_as_if_there_had_been_no_break(trained, tmp_path):
    expert = sf.load(trained())
    file = tmp_path / "episodes.safetensors"
    sf.demonstrations.save(expert.record(4), file)
    count = len(sf.demonstrations.load(file))
    options = {"data": str(file), "steps": 4 * count, "hidden": (8,), "checkpoint_every": 0}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    sf.train("bc", "CartPole-v1", out=whole, **options)
    with pytest.raises(KeyboardInterrupt):
        sf.train("bc", "CartPole-v1", out=broken, display=lambda _: Interrupt(2), **options)
    sf.resume(broken)
    same(whole, broken)


@pytest.mark.parametrize("algorithm", cases(["trpo", "reinforce"], fast=["reinforce"]))
def test_several_seeds_go_on_together(algorithm, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    options = {**SMALL, "backend": "device"}
    seeds = algorithm, "CartPole-v1", [3, 4]
    sf.train_seeds(*seeds, out=whole, **options)
    with pytest.raises(KeyboardInterrupt):
        sf.train_seeds(*seeds, out=broken, display=lambda _: Interrupt(3), **options)
    # One has lost its newest: all go back to one that every run has.
    checkpoints.remove(checkpoints.paths(broken / "seed-4" / "checkpoints")[-1])
    with pytest.raises(sf.UsageError, match=r"holds several runs: pass it to resume_seeds"):
        sf.resume(broken)
    sf.resume_seeds(broken)
    for seed in (3, 4):
        same(whole / f"seed-{seed}", broken / f"seed-{seed}")


@pytest.mark.parametrize("algorithm", cases(["ppo_clip", "ppo_kl"], fast=["ppo_kl"]))
def test_a_longer_run_goes_on_from_the_end_and_keeps_its_schedule(algorithm, trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained(algorithm, **SMALL, minibatch_size=32), folder)
    shutil.rmtree(folder / "agent")
    sf.resume(folder)  # It is complete, and gets its agent back.
    assert len(untimed(folder)) == 5
    sf.load(folder)
    with pytest.raises(
        sf.UsageError, match=r"steps is 700; accepted is 768 or more, .* 640 of 640"
    ):
        sf.resume(folder, steps=700)
    with pytest.raises(sf.UsageError, match=r"steps is 1280.0; accepted is an integer"):
        sf.resume(folder, steps=1280.0)
    shown = Notes()
    sf.resume(folder, steps=np.int64(900), display=lambda _: shown)
    assert any(
        "640 steps that were planned: from there to 896 it has a rate of 0; --stretch-schedule" in n
        for n in shown.notes
    )
    assert not step_budget.stretched(folder)
    told = untimed(folder)
    assert [row["steps"] for row in told] == [128 * (i + 1) for i in range(7)]
    assert told[0]["step_scale"] > told[4]["step_scale"] > 0
    assert told[5]["step_scale"] == told[6]["step_scale"] == 0, "the rate has come to its end"


RATES = {"ppo_kl": 3e-4, "ppo_clip": 3e-4, "a2c": 7e-4}


@pytest.mark.parametrize("algorithm", cases(RATES, fast=["ppo_kl"]))
def test_a_stretched_schedule_falls_to_its_end_at_the_new_one(algorithm, trained, tmp_path):
    options = {} if algorithm == "a2c" else {"minibatch_size": 32}
    short = trained(algorithm, **SMALL, **options)
    folder, broken = (shutil.copytree(short, tmp_path / name) for name in ("run", "broken"))
    shown = Notes()
    sf.resume(folder, steps=900, stretch_schedule=True, display=lambda _: shown)
    assert not any("schedule" in note for note in shown.notes)
    assert step_budget.stretched(folder)
    told = untimed(folder)
    done = np.array([0, *(row["steps"] for row in told[:-1])])
    planned = np.where(done < 640, 640, 896)
    expected = RATES[algorithm] * (1 - done / planned)
    np.testing.assert_allclose([row["step_scale"] for row in told], expected, rtol=1e-5)

    # It stays stretched where it is resumed once more, and is the same run.
    with pytest.raises(KeyboardInterrupt):
        sf.resume(broken, steps=900, stretch_schedule=True, display=lambda _: Interrupt(1))
    shown = Notes()
    sf.resume(broken, display=lambda _: shown)
    assert not any("schedule" in note for note in shown.notes)
    same(folder, broken)
    with pytest.raises(sf.UsageError, match=r"before iteration 5 .* schedule stretched"):
        reproduce(folder, 5)


def test_the_command_stretches_a_schedule(trained, tmp_path):
    folder = shutil.copytree(trained("ppo_kl", **SMALL, minibatch_size=32), tmp_path / "run")
    options = ["--steps", "768", "--stretch-schedule", "--no-report"]
    assert main(["resume", str(folder), *options]) == 0
    assert untimed(folder)[-1]["step_scale"] > 0


ENDS = {
    "trpo": (find_recipe("trpo")(), None),
    "trpo, falling": (find_recipe("trpo")(max_kl_schedule="linear"), "a radius of 0"),
    "kfac_trpo, falling": (find_recipe("kfac_trpo")(max_kl_schedule="linear"), "a radius of 0"),
    "ppo_clip": (find_recipe("ppo_clip")(), "a rate of 0"),
    "ppo_kl": (find_recipe("ppo_kl")(), "a rate of 0"),
    "a2c": (find_recipe("a2c")(), "a rate of 0"),
    "reinforce": (find_recipe("reinforce")(), None),
    "cem": (find_recipe("cem")(), "no added variance"),
    "cem, constant": (find_recipe("cem")(extra_std=0.0), None),
}


@pytest.mark.parametrize("name", ENDS)
def test_which_methods_have_a_schedule_is_known(name):
    recipe, end = ENDS[name]
    assert schedule_end(recipe.build()) == end


@pytest.mark.parametrize("table", ["setup", "hyperparameters"])
def test_what_a_newer_version_knows_is_named(table, trained, tmp_path):
    folder = shutil.copytree(trained(), tmp_path / "run")
    for path in checkpoints.paths(folder / "checkpoints"):
        saved, manifest = array_folder.load(path)
        manifest["config"][table]["novelty"] = 3
        manifest["config"]["versions"]["surefoot"] = "99.1"
        array_folder.save(path, saved, manifest)
    with pytest.raises(sf.UsageError, match=r"'novelty', which .* 'surefoot>=99.1'") as error:
        sf.resume(folder, steps=1280)
    assert "\n" not in str(error.value)
    config = json.loads((folder / "config.json").read_text())
    config[table]["novelty"] = 3
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(sf.UsageError, match=r"'novelty', which surefoot .* does not know"):
        reproduce(folder)


@pytest.mark.parametrize("kind", ["secretive", "vector"])
def test_environments_that_cannot_be_put_back_begin_anew_and_say_so(kind, tmp_path):
    folder = tmp_path / "run"
    if kind == "secretive":
        env, why = Secretive, "did not come back to where it was"
    else:
        env, why = SyncVectorEnv([Hidden] * 4), "cannot be put back"
    cut("trpo", env, folder)
    shown = Notes()
    sf.resume(folder, env=env, display=lambda _: shown)
    assert any("episodes begin anew" in note and why in note for note in shown.notes)
    last = checkpoints.read(checkpoints.paths(folder / "checkpoints")[-1])
    assert len(last.env_restarts_at) == 1
    assert 1 <= last.env_restarts_at[0] <= 2
    assert [row["iteration"] for row in untimed(folder)] == list(range(5))


class Endless(Hidden):
    def step(self, action):
        seen, reward, *_ = super().step(action)
        return seen, reward, False, False, {}


def test_an_episode_that_is_too_long_to_be_kept_is_told_once(tmp_path, monkeypatch):
    monkeypatch.setattr(episode_history, "MAX_KEPT", 40)
    folder = tmp_path / "run"
    shown = Notes()
    sf.train("trpo", Endless, out=folder, display=lambda _: shown, **SMALL)
    told = [note for note in shown.notes if "an episode is longer than" in note]
    assert len(told) == 1
    last = checkpoints.paths(folder / "checkpoints")[-1]
    saved = checkpoints.read(last).env_snapshot
    assert saved.metadata == {"episodes": None, "too_long": True}
    assert not any(name.startswith("actions") for name in saved.arrays)
    checkpoints.remove(last)
    shown = Notes()
    sf.resume(folder, env=Endless, display=lambda _: shown)
    assert any(
        "episodes begin anew" in note and "an episode was longer than" in note
        for note in shown.notes
    )
    assert [row["iteration"] for row in untimed(folder)] == list(range(5))


class Double(Continuous):
    """Takes actions of double precision."""

    action_space = spaces.Box(-1.0, 1.0, (1,), np.float64)

    def step(self, action):
        self._at = self._at + np.float32(action[0] * np.pi)
        return super().step(action)


class Glitch(Hidden):
    """Its observation is not a number in the 70th step of its life."""

    life = 0

    def step(self, action):
        self.life += 1
        seen, *rest = super().step(action)
        return (seen * np.float32(np.nan if self.life == 70 else 1.0), *rest)


class ContinuousGlitch(Glitch, Continuous):
    pass


def test_actions_are_played_again_as_they_were(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    sf.train("reinforce", Double, out=whole, baseline=False, **SMALL)
    cut("reinforce", Double, broken, baseline=False)
    shown = Notes()
    sf.resume(broken, env=Double, display=lambda _: shown)
    assert not any("anew" in note for note in shown.notes)
    same(whole, broken)


def test_what_an_earlier_episode_left_in_an_environment_is_noticed(tmp_path):
    def env():
        return gymnasium.wrappers.NormalizeReward(Hidden())

    folder = tmp_path / "run"
    cut("trpo", env, folder)
    shown = Notes()
    sf.resume(folder, env=env, display=lambda _: shown)
    assert any("episodes begin anew" in note for note in shown.notes)


@pytest.mark.parametrize("env", cases([Glitch, ContinuousGlitch], fast=[Glitch]))
def test_while_updates_are_refused_the_healthy_checkpoints_stay(env, tmp_path):
    folder = tmp_path / "run"
    # Iterations have 32 steps of each environment: the third one is refused.
    with pytest.warns(RuntimeWarning, match="iteration 2 was refused"):
        cut("trpo", env, folder, after=3)
    assert [row["refused"] for row in untimed(folder)] == [False, False, True]
    assert [int(p.name) for p in checkpoints.paths(folder / "checkpoints")] == [1, 2]


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A run that was interrupted after its third iteration."""
    folder = tmp_path_factory.mktemp("broken") / "run"
    cut("trpo", "CartPole-v1", folder, after=3)
    return folder


@pytest.fixture
def copy(broken, tmp_path):
    return shutil.copytree(broken, tmp_path / "run")


def test_what_a_checkpoint_says(broken):
    path = checkpoints.paths(broken / "checkpoints")[-1]
    told = checkpoints.read(path)
    assert told.iterations == int(path.name) == 3
    assert told.steps == 3 * 128
    assert told.budget == SMALL["steps"]
    assert told.config["algorithm"] == "trpo"
    assert {"jax", "numpy", "gymnasium"} <= told.config["versions"].keys()
    assert told.env_restarts_at == []
    assert any("critic_state" in name for name in told.state)
    assert all(np.isfinite(x).all() for x in told.state.values() if x.dtype.kind == "f")


def damage(path, kind, rng):
    data = bytearray(path.read_bytes())
    if kind == "truncated":
        data = data[: rng.integers(len(data))]
    else:
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    path.write_bytes(data)


@pytest.mark.parametrize("kind", ["truncated", "flipped"])
@pytest.mark.parametrize("name", ["arrays.safetensors", "manifest.json"])
def test_a_damaged_checkpoint_is_passed_over(name, kind, copy):
    rng = np.random.default_rng(0)
    newest = checkpoints.paths(copy / "checkpoints")[-1]
    whole = (newest / name).read_bytes()
    for _ in range(10):
        (newest / name).write_bytes(whole)
        damage(newest / name, kind, rng)
        found, wrong = checkpoints.newest(copy / "checkpoints", copy / "metrics.jsonl")
        assert found.iterations == 2
        assert len(wrong) == 1
        assert str(newest) in wrong[0]
    with restored(copy) as (one,):
        assert "intact" in one.warnings[0]


@pytest.mark.parametrize("kind", ["truncated", "flipped"])
def test_damaged_metrics_are_not_gone_on_from(kind, copy):
    path = copy / "metrics.jsonl"
    first = len(path.read_bytes().splitlines(keepends=True)[0])
    whole, rng = path.read_bytes(), np.random.default_rng(1)
    for _ in range(10):
        path.write_bytes(whole)
        damage(path, kind, rng)
        before = next(
            (i for i, (a, b) in enumerate(zip(path.read_bytes(), whole, strict=False)) if a != b),
            path.stat().st_size,
        )
        if before < first:
            with pytest.raises(sf.UsageError, match=r"no intact checkpoint"):
                sf.resume(copy)
        else:
            found, _ = checkpoints.newest(copy / "checkpoints", path)
            assert found.metrics.length <= before


def test_without_an_intact_checkpoint_there_is_one_line(copy):
    for path in checkpoints.paths(copy / "checkpoints"):
        (path / "manifest.json").unlink()
    with pytest.raises(sf.UsageError, match=r"^[^\n]*has no intact checkpoint[^\n]*train anew$"):
        sf.resume(copy)
    with pytest.raises(sf.UsageError, match=r"is no run: it has no config.json"):
        sf.resume(copy / "agent")


def test_what_an_ended_process_left_is_tidied_away(copy):
    folder = copy / "checkpoints"
    (folder / ".00000004-x").mkdir()
    (folder / ".00000004-x" / "arrays.safetensors").write_bytes(b"half")
    with (copy / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 3, "steps"')
    sf.resume(copy)
    assert sorted(p.name for p in folder.iterdir()) == ["00000003", "00000004", "00000005"]
    assert [row["iteration"] for row in untimed(copy)] == list(range(5))


def test_a_folder_is_written_by_one_process_at_a_time(copy):
    def second(iteration):
        with pytest.raises(sf.UsageError, match="being written by another process"):
            sf.resume(copy, steps=10**6)

    sf.resume(copy, display=lambda _: CallbackDisplay(show=second))


def test_a_run_is_held_before_it_is_read_and_given_back_whatever_happens(copy, monkeypatch):
    held = []
    newest = checkpoints.newest

    def read(*args, **kwargs):
        held.append(is_held(copy))
        return newest(*args, **kwargs)

    def fails(steps):
        assert is_held(copy)
        raise AssertionError("a display of the user's")

    monkeypatch.setattr(checkpoints, "newest", read)
    with pytest.raises(AssertionError, match="a display of the user's"):
        sf.resume(copy, display=fails)
    with pytest.raises(sf.UsageError, match="steps is 1;"):
        sf.resume(copy, steps=1)
    assert held == [True, True]
    assert is_held(copy) is False
    sf.resume(copy)
    assert is_held(copy) is False


def test_a_folder_that_cannot_be_held_is_one_line(copy):
    (copy / ".lock").unlink()
    (copy / ".lock").mkdir()
    with pytest.raises(sf.UsageError, match=r"run/.lock is no regular file, .*: take it off$"):
        sf.resume(copy)


@pytest.mark.parametrize("what", ["checkpoint", "metrics"])
def test_a_full_disk_does_not_end_the_run(what, tmp_path, monkeypatch):
    folder, full = tmp_path / "run", {"now": False}
    wrapped = array_folder._write if what == "checkpoint" else JsonLines._flush

    def write(*args):
        if full["now"]:
            raise OSError(errno.ENOSPC, "No space left on device")
        wrapped(*args)

    where = (array_folder, "_write") if what == "checkpoint" else (JsonLines, "_flush")
    monkeypatch.setattr(*where, write)
    intact, notes = {}, []

    def show(iteration):
        full["now"] = 1 <= iteration.number < 3
        intact[iteration.number] = checkpoints.newest(
            folder / "checkpoints", folder / "metrics.jsonl"
        )[0].iterations

    shown = CallbackDisplay(show=show, note=notes.append)
    sf.train("trpo", "CartPole-v1", out=folder, display=lambda _: shown, **SMALL)
    assert intact == {0: 1, 1: 2, 2: 2, 3: 2, 4: 5} or intact == {0: 1, 1: 2, 2: 2, 3: 4, 4: 5}
    assert any(
        str(folder) in note and "No space left" in note and "goes on" in note for note in notes
    )
    assert [row["iteration"] for row in untimed(folder)] == list(range(5))


LIMITED = """
import resource, signal, sys
import surefoot as sf
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, resource.RLIM_INFINITY))
from surefoot.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_files_that_cannot_grow_do_not_end_a_run(tmp_path):
    """The limit is above a checkpoint's size and below that of the metrics."""
    folder = tmp_path / "run"
    command = ["train", "reinforce", "CartPole-v1", f"--out={folder}", "--checkpoint-every=0"]
    small = ["--num-envs=2", "--horizon=16", "--hidden=2", "--steps=640"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *command, *small],
        # No cache: what is cut short there would be read by other tests.
        env={k: v for k, v in os.environ.items() if "CACHE" not in k} | {"SUREFOOT_CACHE": "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "metrics.jsonl cannot be written: File too large; training goes on" in done.stdout
    sf.load(folder)
    found, wrong = checkpoints.newest(folder / "checkpoints", folder / "metrics.jsonl")
    assert 1 < found.iterations < 20
    assert wrong == []


def test_output_that_nobody_can_read_does_not_end_a_run(tmp_path, monkeypatch):
    small = ["--num-envs=4", "--horizon=32", "--hidden=8", f"--steps={BATCH * 2}"]
    command = ["train", "trpo", "CartPole-v1", f"--out={tmp_path / 'run'}", *small]
    # Every write fails at once, and nothing is left for the end.
    with open("/dev/full", "wb", buffering=0) as full, monkeypatch.context() as patched:
        text = io.TextIOWrapper(full, write_through=True)
        patched.setattr(sys, "stdout", text)
        assert main(command) == 0
        with pytest.raises(OSError, match="No space left"):
            print("full")
        text.detach()
    sf.load(tmp_path / "run")


@pytest.mark.slow
def test_output_that_nobody_can_read_does_not_end_a_process(tmp_path):
    small = ["--num-envs=2", "--horizon=16", "--hidden=2", "--steps=64"]
    command = ["train", "reinforce", "CartPole-v1", f"--out={tmp_path / 'run'}", *small]
    code = "import sys; from surefoot.cli.main import main; code = main(sys.argv[1:])\n"
    code += "import os; os._exit(code)"
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code, *command], stdout=full, env=env)
    assert done.returncode == 0
    sf.load(tmp_path / "run")


def test_two_runs_cannot_have_one_folder(tmp_path):
    folder = tmp_path / "run"

    def begins(iteration):
        raise AssertionError("the second run must not begin")

    first, second = (prepare("trpo", "CartPole-v1", {**SMALL, "steps": BATCH}) for _ in "ab")
    execute([first], [folder], CallbackDisplay())
    with pytest.raises(sf.UsageError, match="was made by another process; pass another path"):
        execute([second], [folder], CallbackDisplay(show=begins))


def test_an_algorithm_of_ones_own_is_passed_again_and_must_be_the_same(tmp_path):
    import optax

    def learner(rate):
        policy = sf.Step(sf.Score(), sf.Optax(optax.adam, learning_rate=1.0), sf.Fixed(rate))
        return sf.Algorithm(policy)

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    sf.train(learner(0.01), Hidden, out=whole, **SMALL)
    cut(learner(0.01), Hidden, broken)
    with pytest.raises(sf.UsageError, match=r"is no recipe of surefoot's: pass algorithm="):
        sf.resume(broken, env=Hidden)
    with pytest.raises(
        sf.UsageError, match=r"which is no Gymnasium id: pass --env MODULE:NAME, or env="
    ):
        sf.resume(broken, algorithm=learner(0.01))
    with pytest.raises(sf.UsageError, match=r"algorithm= differs from the run's in learner"):
        sf.resume(broken, algorithm=learner(0.02), env=Hidden)
    sf.resume(broken, algorithm=learner(0.01), env=Hidden)
    same(whole, broken)


def test_nothing_that_is_read_can_run_code(copy, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("unpickled")

    with monkeypatch.context() as patched:
        for name in ("load", "loads", "Unpickler"):
            patched.setattr(pickle, name, refuse)
        sf.load(copy)
        with restored(copy):
            pass


GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["host-1", "device-1"])
def test_runs_of_every_earlier_format_are_gone_on_with(name, tmp_path):
    folder = shutil.copytree(GOLDEN / name, tmp_path / "run")
    before = untimed(folder)
    kept = arrays(folder)
    shown = Notes()
    sf.load(folder).evaluate(2)
    sf.resume(folder, steps=160, display=lambda _: shown)
    told = untimed(folder)
    assert told[: len(before)] == before
    assert [row["steps"] for row in told] == [32, 64, 96, 128, 160]
    assert all(np.isfinite(x).all() for x in arrays(folder).values())
    assert any((arrays(folder)[name] != kept[name]).any() for name in kept)

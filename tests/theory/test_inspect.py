"""Updates of runs, replayed and looked at: the update that was, a folder that is only read, and one
line for every mistake."""

import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
import warnings
from operator import attrgetter

import gymnasium
import numpy as np
import pytest
from filelock import FileLock
from gymnasium import spaces

import surefoot as sf
from support import runs
from surefoot.cli.main import main
from surefoot.common import jax_setup
from surefoot.runs.earlier import rebuild, reproduce
from surefoot.runs.folder import checkpoints, compare_rows
from surefoot.runs.folder.metrics_file import as_row
from surefoot.theory import inspection
from surefoot.training.iteration import Iteration, Timing

ITERATIONS = 5
SMALL = {**runs.TINY, "checkpoint_every": 0}
#: What is compiled for one run of these on the host serves all.
PPO = {"num_envs": 8, "horizon": 256, "hidden": (64, 64), "learning_rate": 1e-3}


class Walk(gymnasium.Env):
    """A walk that depends on how many there were before it, and on no seed; its spaces are
    CartPole's, and what is compiled for one serves the other."""

    observation_space = spaces.Box(-np.inf, np.inf, (4,))
    action_space = spaces.Discrete(2)
    made = itertools.count()

    def __init__(self):
        self.secret = np.random.default_rng(next(self.made))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._age, self._at = 0, self.secret.normal(size=4).astype(np.float32)
        return self._at, {}

    def step(self, action):
        self._age += 1
        self._at = (0.9 * self._at + self.secret.normal(size=4)).astype(np.float32)
        return self._at, -abs(float(action - self._at[0])), False, self._age == 20, {}


def train(folder, algorithm="reinforce", env="CartPole-v1", iterations=ITERATIONS, **options):
    given = {**SMALL, **options}
    steps = given["num_envs"] * given["horizon"] * iterations
    sf.train(algorithm, env, out=folder, steps=steps, **given)
    return folder


@pytest.fixture(scope="module")
def ppo(trained):
    """A run of PPO-Clip. So short a run's rate falls fast, and begins higher than the default."""
    return trained("ppo_clip", **PPO)


@pytest.fixture(scope="module")
def inspected(ppo):
    """An early iteration, which no checkpoint is kept of, and the last one."""
    return {k: sf.inspect(ppo, k) for k in (1, ITERATIONS - 1)}


@pytest.fixture(scope="module")
def short(trained):
    """Another run of the same method, whose numbers alone differ."""
    return trained("ppo_clip", **PPO, discount=0.9, clip=0.3)


def contents(folder):
    return {
        path.relative_to(folder): (path.stat().st_mtime_ns, path.is_file() and path.read_bytes())
        for path in folder.rglob("*")
    }


def test_a_replayed_update_is_the_one_that_was(ppo, inspected):
    for k, (update, _) in inspected.items():
        assert update.exact
        assert update.iteration == update.row["iteration"] == k
    update = inspected[ITERATIONS - 1].update
    kept = checkpoints.read(checkpoints.paths(ppo / "checkpoints")[-1]).state
    before = checkpoints.read(checkpoints.paths(ppo / "checkpoints")[-2]).state
    for i in range(2):
        name = f"learner.policy.network.weights[{i}]"
        np.testing.assert_array_equal(update.new.network.weights[i], kept[name])
        np.testing.assert_array_equal(update.old.network.weights[i], before[name])


def test_it_begins_at_the_nearest_checkpoint_or_at_the_beginning_and_says_so(inspected):
    early, late = inspected[1].update, inspected[ITERATIONS - 1].update
    assert (early.began, early.from_checkpoint) == (0, False)
    assert "replayed from the run's beginning: no checkpoint" in str(early)
    assert "(2 iterations, equal to metrics.jsonl bit for bit)" in str(early)
    assert (late.began, late.from_checkpoint) == (ITERATIONS - 1, True)
    assert "a checkpoint before iteration 4 (1 iteration, equal" in str(late)


def test_the_curves_at_one_are_what_the_run_recorded(inspected):
    for update, curves in inspected.values():
        (end,) = np.flatnonzero(curves.alpha == 1)
        assert curves.kl[end] == pytest.approx(update.row["kl_mean"], rel=1e-3)
        assert curves.clip_fraction[end] == pytest.approx(update.row["clip_fraction"], abs=2e-3)
        gain = update.row["objective_after"] - update.row["objective_before"]
        assert curves.clipped[end] == pytest.approx(gain, rel=1e-3, abs=1e-6)
        assert (curves.clip, curves.discount) == (np.float32(0.2), np.float32(0.99))


def test_an_update_of_ppo_has_the_shape_of_the_papers_figure_2(inspected):
    for update, curves in inspected.values():
        (start,) = np.flatnonzero(curves.alpha == 0)
        assert [curve[start] for curve in curves[1:7]] == [0.0] * 6
        assert (curves.clipped <= curves.surrogate).all()
        bound = curves.clipped < curves.surrogate
        np.testing.assert_array_equal(bound, clips(update, curves))
        assert bound[curves.clip_fraction > 0.01].all()
        assert bound[curves.alpha >= 1].all()
        best = curves.alpha[np.argmax(curves.clipped)]
        assert 0.5 <= best <= 1.5
        assert curves.surrogate[-1] > curves.surrogate[curves.alpha == 1]
        assert curves.clipped[-1] < curves.clipped.max()
        assert (curves.kl[curves.alpha != 0] > 0).all()
        # With the theory's constant no step pays: its steps are too small near γ = 1.
        assert (curves.lower_bound[curves.alpha != 0] < 0).all()


def clips(update, curves):
    """Whether some row is beyond the interval on the side that its advantage pulls it to."""
    batch = update.batch
    obs, action, advantage = (np.asarray(x) for x in (batch.obs, batch.action, batch.advantage))
    first, last = (
        [np.asarray(x, float) for layer in policy.layers for x in layer]
        for policy in (update.old, update.new)
    )

    def log_prob(alpha):
        w = [a + alpha * (b - a) for a, b in zip(first, last, strict=True)]
        hidden = np.tanh(np.tanh(obs.astype(float) @ w[0] + w[1]) @ w[2] + w[3])
        logits = hidden @ w[4] + w[5]
        return (logits - np.log(np.exp(logits).sum(1, keepdims=True)))[range(len(obs)), action]

    before = log_prob(0.0)
    ratios = [np.exp(log_prob(alpha) - before) for alpha in curves.alpha]
    beyond = [np.where(advantage > 0, r - 1, np.where(advantage < 0, 1 - r, 0)) for r in ratios]
    return [bool((x > curves.clip).any()) for x in beyond]


SLOW = [
    ("npg", {"env": "Pendulum-v1"}),
    ("a2c_trust_region", {"discount": 0.95}),
    ("ppo_kl", {"env": "Pendulum-v1", "beta": 0.5}),
    ("trpo", {"backend": "device", "env": "Pendulum-v1"}),
]


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        ("reinforce", {"backend": "device"}),
        *[pytest.param(*case, marks=pytest.mark.slow) for case in SLOW],
    ],
)
def test_other_methods_replay_bit_for_bit(algorithm, options, tmp_path):
    folder = train(tmp_path / "run", algorithm, iterations=3, **options)
    update, curves = sf.inspect(folder, 2)
    assert update.exact
    assert curves.discount == pytest.approx(options.get("discount", 0.99))
    (end,) = np.flatnonzero(curves.alpha == 1)
    assert curves.kl[end] == pytest.approx(update.row["kl_mean"], rel=1e-3, abs=1e-7)
    expected = {"npg": "beta", "trpo": "beta", "ppo_kl": "kl_penalty"}.get(algorithm)
    assert curves.beta == (1.0 if expected is None else update.row[expected])


def test_the_folder_is_only_read(short):
    before = contents(short)
    for k in (0, ITERATIONS - 1):
        assert sf.inspect(short, k).update.exact
    assert contents(short) == before


def test_a_damaged_checkpoint_is_gone_around(short, tmp_path):
    folder = shutil.copytree(short, tmp_path / "run")
    (folder / "checkpoints" / "00000004" / "arrays.safetensors").write_bytes(b"")
    update = sf.inspect(folder, 4).update
    assert (update.began, update.exact) == (3, True)


def test_what_the_seed_does_not_decide_is_refused(tmp_path):
    folder = train(tmp_path / "run", "ppo_clip", env=Walk, iterations=2, **PPO)
    with pytest.raises(sf.UsageError, match=r"iteration 0 of .* does not come out as it did: kl_"):
        sf.inspect(folder, 1, env=Walk)
    with pytest.raises(
        sf.UsageError, match="which is no Gymnasium id: pass --env MODULE:NAME, or env="
    ):
        sf.inspect(folder, 1)


def changed(run, folder, **values):
    """A copy of a run of which row 1 says something else, and the configuration other versions.
    Checkpoints no longer fit the file, so that the replay begins at the beginning."""
    shutil.copytree(run, folder)
    rows = runs.rows(run)
    rows[1] |= values
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    (folder / "metrics.jsonl").write_text(text)
    config = json.loads((run / "config.json").read_text())
    config["versions"] |= {"jax": "0.1", "NPROC": "64"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_what_rounding_may_do_is_accepted_and_said(short, tmp_path):
    row = runs.rows(short)[1]
    returns = [1.002 * x for x in row["episode_returns"]]
    near = {"kl_mean": 1.005 * row["kl_mean"], "episode_returns": returns}
    update = sf.inspect(changed(short, tmp_path / "run", **near), 2).update
    assert not update.exact
    assert (update.began, update.from_checkpoint) == (0, False)
    assert "up to 1% of KL, entropy and returns, not bit for bit: NPROC 64 then" in str(update)
    assert "jax 0.1 then" in str(update)
    exact = sf.inspect(short, 2).update
    for one, other in zip(exact.new.layers, update.new.layers, strict=True):
        np.testing.assert_array_equal(one[0], other[0])


def test_another_run_with_the_same_kl_is_refused(short, tmp_path):
    row = runs.rows(short)[1]
    other = {
        "steps": row["steps"] - 3,
        "valid_rows": row["valid_rows"] - 3,
        "episode_lengths": [x + 1 for x in row["episode_lengths"]],
        "episode_returns": [1.1 * x for x in row["episode_returns"]],
    }
    for name, value in other.items():
        folder = changed(short, tmp_path / name, **{name: value})
        with pytest.raises(
            sf.UsageError, match=rf"iteration 1 of .* come out as it did: {name} .* jax 0.1 then"
        ) as caught:
            sf.inspect(folder, 2)
        assert "\n" not in str(caught.value)


def told(**values):
    metrics = {"valid_rows": 8, "kl_mean": 0.01, "entropy": 1.0, "refused": False}
    ended = np.array(values.pop("returns", [0.0, 100.0])), np.array(values.pop("lengths", [3, 5]))
    steps = values.pop("steps", 16)
    return Iteration(1, steps, None, {**metrics, **values}, *ended, Timing(1.0, 8.0))


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({}, None),
        ({"kl_mean": 0.01009, "entropy": 0.995, "returns": [0.5, 99.5]}, None),
        ({"kl_mean": 0.0102}, "kl_mean is 0.0102 and was 0.01"),
        ({"entropy": -1.0}, "entropy is -1 and was 1"),
        ({"entropy": float("nan")}, "entropy is nan and was 1"),
        ({"returns": [0.0, 98.0]}, "episode_returns is 98 and was 100"),
        ({"returns": [2.0, 100.0]}, "episode_returns is 2 and was 0"),
        ({"lengths": [3, 6]}, "episode_lengths are others than they were"),
        ({"returns": [0.0], "lengths": [3]}, "episode_lengths are others than they were"),
        ({"steps": 17}, "steps is 17 and was 16"),
        ({"valid_rows": 7}, "valid_rows is 7 and was 8"),
    ],
)
def test_iterations_are_compared_in_what_a_run_cannot_share_by_chance(values, found):
    row = json.loads(json.dumps(as_row(told())))
    assert compare_rows.difference(told(**values), row) == found
    assert compare_rows.equal(told(**values), row) == (values == {})


def test_an_update_that_was_not_finite_is_the_same_again():
    nan = told(kl_mean=float("nan"), returns=[float("nan"), 1.0])
    assert compare_rows.difference(nan, json.loads(json.dumps(as_row(nan)))) is None


def test_a_run_that_ends_early_is_refused(short, monkeypatch):
    rows = runs.rows(short)
    monkeypatch.setattr(compare_rows, "read", lambda *_: [*rows, {**rows[-1], "iteration": 5}])
    monkeypatch.setattr(reproduce.Run, "iterations", lambda self: (x for x in ()))
    with pytest.raises(sf.UsageError, match=r"iteration 5 of .*: the run ends with iteration -1;"):
        sf.inspect(short, 5)


def test_the_normalizer_is_the_one_that_the_batch_was_seen_through(ppo, inspected):
    kept = checkpoints.paths(ppo / "checkpoints")
    for name in ("mean", "var", "seen.low"):
        before = checkpoints.read(kept[-2]).state[f"learner.normalizer.moments.{name}"]
        found = attrgetter(name)(inspected[ITERATIONS - 1].update.normalizer.moments)
        np.testing.assert_array_equal(found, before)
        assert not np.array_equal(
            found, checkpoints.read(kept[-1]).state[f"learner.normalizer.moments.{name}"]
        )
    # Of one iteration before it: rows are counted, some 2,000 an iteration.
    assert 1900 < int(inspected[1].update.normalizer.moments.seen) <= 2048


SET_UP = """
import json, os, pathlib, sys
import surefoot
from surefoot.runs.earlier import rebuild
path = pathlib.Path(sys.argv[1])
config = json.loads((path / "config.json").read_text())
rebuild.match_cores(config, path)
print(os.environ["NPROC"], rebuild.version_differences(config))
import jax
jax.devices()
config["versions"]["NPROC"] = "3"
rebuild.match_cores(config, path)
print(os.environ["NPROC"], rebuild.version_differences(config))
"""


def test_a_replay_computes_on_as_many_cores_as_the_run(short, tmp_path, monkeypatch):
    folder = shutil.copytree(short, tmp_path / "run")
    path = folder / "config.json"
    config = json.loads(path.read_text())
    assert config["versions"]["NPROC"] == jax_setup.cores()
    config["versions"]["NPROC"] = "2"
    path.write_text(json.dumps(config))
    clean = {k: v for k, v in os.environ.items() if k != "NPROC"}
    command = [sys.executable, "-c", SET_UP, str(folder)]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=True)
    # Once JAX has computed it is too late.
    assert done.stdout == "2 \n2 NPROC 3 then, 2 now\n"
    asked = []
    monkeypatch.setattr(reproduce, "match_cores", lambda *given: asked.append(given))
    assert sf.inspect(folder, 4).update.differences == f"NPROC 2 then, {jax_setup.cores()} now"
    assert asked == [(config, folder)]


@pytest.mark.parametrize(("name", "cores"), [("seed-4", [3]), ("seed-x", [1]), ("run", [1])])
def test_a_run_that_does_not_say_on_how_many_cores_counts_the_seeds_beside_it(
    name, cores, tmp_path, monkeypatch
):
    for path in ("seed-0", "seed-4", "seed-11", "seed-x", "run"):
        (tmp_path / path).mkdir()
        (tmp_path / path / "config.json").touch()
    (tmp_path / "seed-7").mkdir()
    said = []
    monkeypatch.setattr(jax_setup, "allow_parallel_runs", said.append)
    rebuild.match_cores({"versions": {}}, tmp_path / name)
    assert said == cores


def test_a_run_that_is_being_written_can_be_looked_at(short, tmp_path, monkeypatch):
    folder = shutil.copytree(short, tmp_path / "run")
    path = folder / "metrics.jsonl"
    path.write_bytes(path.read_bytes() + b'{"iteration": 5, "ste')
    read = checkpoints.read
    taken = []

    def taken_off(path):
        """As where the run writes a checkpoint meanwhile, and takes the oldest one off."""
        if not taken:
            taken.append(path)
            shutil.rmtree(path)
        return read(path)

    monkeypatch.setattr(checkpoints, "read", taken_off)
    with FileLock(folder / ".lock"):
        update = sf.inspect(folder).update
    assert [path.name for path in taken] == ["00000004"]
    assert (update.iteration, update.began, update.exact) == (4, 3, True)


def test_a_run_of_worker_processes_is_replayed_bit_for_bit(ppo, tmp_path):
    folder = train(tmp_path / "run", "ppo_clip", vectorization="async", iterations=2, **PPO)
    assert runs.rows(folder)[0]["kl_mean"] > 0
    update = sf.inspect(folder, 1).update
    assert (update.began, update.exact) == (1, True)


def test_the_clip_of_a_learner_of_ones_own_is_read_off_it(short, monkeypatch):
    recipe = sf.recipes.PPOClip(clip=0.3)
    assert reproduce._clip(recipe.build()) == pytest.approx(0.3)
    plain = sf.Algorithm(sf.Step(sf.Clipped(0.25), sf.Euclidean(), sf.Fixed(0.1)))
    assert reproduce._clip(plain) == 0.25
    assert reproduce._clip(sf.recipes.Reinforce().build()) is None
    assert sf.inspect(short, 4).curves.clip == np.float32(0.3)
    monkeypatch.setattr(reproduce, "_clip", lambda _: None)
    assert sf.inspect(short, 4).curves.clip == 0.2


def test_episodes_that_began_anew_in_between_cannot_be_replayed(tmp_path):
    pytest.importorskip("envpool")
    folder = train(tmp_path / "run", "ppo_clip", backend="envpool", iterations=2, **PPO)
    update = sf.inspect(folder, 1).update
    assert (update.began, update.exact) == (0, True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        sf.resume(folder, steps=8 * 256 * 5)
    assert sf.inspect(folder, 1).update.exact
    with pytest.raises(
        sf.UsageError,
        match=r"iteration 4 .* cannot be replayed: before iteration 2 the run was resumed with new",
    ):
        sf.inspect(folder, 4)


def test_a_refused_update_cannot_be_looked_at(short, monkeypatch):
    rows = runs.rows(short)[:3]
    refused = [{**row, "refused": True} for row in rows]
    monkeypatch.setattr(compare_rows, "read", lambda *_: refused)
    with pytest.raises(sf.UsageError, match=r"iteration 2 of .* was refused and changed nothing"):
        sf.inspect(short, 2)


def test_beta_is_that_of_the_penalty_or_of_the_step_in_this_iteration(short, monkeypatch):
    plain = runs.rows(short)
    for told, expected in (({"kl_penalty": 0.5}, 0.5), ({"beta": 2.0}, 2.0), ({}, 1.0)):
        rows = [*plain[:4], {**plain[4], **told}]
        monkeypatch.setattr(compare_rows, "read", lambda *_, rows=rows: rows)
        curves = sf.inspect(short, 4).curves
        assert curves.beta == expected
        np.testing.assert_array_equal(curves.penalized, curves.surrogate - expected * curves.kl)


def test_the_clip_and_beta_that_are_asked_for_come_first(short, monkeypatch):
    update = sf.inspect(short, 4).update._replace(clip=0.3)
    monkeypatch.setattr(inspection, "reproduce", lambda *_, **__: update)
    own, asked = sf.inspect("run").curves, sf.inspect("run", clip=1e-4, beta=3.0).curves
    assert (own.clip, own.beta, asked.clip, asked.beta) == (0.3, 1.0, 1e-4, 3.0)
    np.testing.assert_array_equal(asked.surrogate, own.surrogate)
    np.testing.assert_array_equal(asked.penalized, asked.surrogate - 3.0 * asked.kl)
    end = asked.alpha == 1
    assert asked.clip_fraction[end] > own.clip_fraction[end]


@pytest.mark.parametrize(
    ("recipe", "why"),
    [
        (sf.recipes.CEM(num_envs=4, horizon=64), "has no advantages and so no surrogate"),
        (sf.recipes.GePPO(), "whose surrogate is not that of one batch alone"),
        (sf.recipes.CPO(), "whose surrogate is not that of one batch alone"),
    ],
)
def test_methods_without_a_surrogate_are_refused(short, monkeypatch, recipe, why):
    monkeypatch.setattr(reproduce, "rebuild_method", lambda *_: recipe)
    with pytest.raises(sf.UsageError, match=f"{why}; accepted is"):
        sf.inspect(short, 0)


def test_several_runs_are_refused(short, tmp_path):
    for seed in (3, 4):
        shutil.copytree(short, tmp_path / f"seed-{seed}")
    with pytest.raises(
        sf.UsageError, match=r"holds several runs; accepted is one .*seed-3 for one"
    ):
        sf.inspect(tmp_path, 0)


def test_the_command_prints_and_writes(short, tmp_path, capsys):
    table, figure = tmp_path / "curves.csv", tmp_path / "curves.png"
    assert main(["inspect", str(short), "--out", str(table)]) == 0
    out = capsys.readouterr().out
    assert "ppo_clip on CartPole-v1, iteration 4, replayed from a checkpoint before" in out
    assert "clip 0.3, β 1, γ 0.9, " in out
    assert f"written: {table}" in out
    lines = [line.split(",") for line in table.read_text().splitlines()]
    assert lines[0] == list(inspection.CURVES)
    assert len(lines) == 52
    curves = sf.inspect(short, 4, clip=0.1, beta=3.0).curves
    np.testing.assert_allclose([float(line[4]) for line in lines[1:]], curves.kl, rtol=1e-12)
    assert (curves.clip, curves.beta) == (0.1, 3.0)
    drawn = ["--iteration", "4", "--clip", "0.1", "--beta", "3", "--out", str(figure)]
    assert main(["inspect", str(short), *drawn]) == 0
    assert "clip 0.1, β 3, γ 0.9, " in capsys.readouterr().out
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "missing argument RUN"),
        (["RUN", "--iteration"], "--iteration needs a value; accepted is an integer"),
        (["nowhere", "--iteration", "0"], "nowhere is no run: it has no config.json"),
        (["RUN", "--iteration", "5"], "iteration is 5; accepted is 0 to 4, which"),
        (["RUN", "--iteration", "-1"], "iteration is -1; accepted is an integer >= 0"),
        (["RUN", "--iteration", "two"], "--iteration is 'two'; accepted is an integer"),
        (["RUN", "--iteration", "1", "--clip", "-1"], "clip is -1.0; accepted is a finite number"),
        (["RUN", "--iteration", "1", "--out", "x.gif"], "x.gif ends in '.gif'; accepted are .png"),
        (["RUN", "--iteration", "1", "--out", "no/x.png"], "there is no folder no; make it"),
    ],
)
def test_mistakes_on_the_command_line_are_one_line(arguments, message, short, capsys):
    arguments = [str(short) if word == "RUN" else word for word in arguments]
    assert main(["inspect", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("surefoot: ")
    assert said.err.count("\n") == 1
    assert message in said.err


def test_a_figure_without_matplotlib_is_refused_before_anything_is_replayed(
    short, capsys, monkeypatch
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(inspection, "reproduce", None)
    assert main(["inspect", str(short), "--iteration", "1", "--out", "x.pdf"]) == 2
    said = capsys.readouterr().err
    assert "a figure needs matplotlib: " in said
    assert "pip install 'surefoot[figures]'" in said

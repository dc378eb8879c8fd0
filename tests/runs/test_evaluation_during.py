"""Evaluation beside training changes nothing of it, and goes on where a resumed run does."""

import json
import shutil

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

import surefoot as sf
from support.runs import BATCH, TINY, arrays, lines, untimed
from surefoot.common.files.best_effort import BestEffortWriter
from surefoot.envs.device.classic import DEVICE_ENVS
from surefoot.runs import evaluator
from surefoot.runs.best_agent import BestAgent
from surefoot.runs.options import prepare

SMALL = {**TINY, "steps": BATCH * 6, "seed": 3}
EVALUATED = {"evaluate_every": 200, "evaluation_episodes": 3}
#: Steps at which a multiple of 200 is reached first, and the end.
AT = [256, 512, 640, 768]
ENV = {"host": "CartPole-v1", "device": DEVICE_ENVS["CartPole-v1"]}
METHOD = {"host": "trpo", "device": "reinforce"}


def evaluations(folder):
    return lines(folder / "evaluations.jsonl")


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k], equal_nan=True) for k in a)


@pytest.fixture(scope="module", params=["host", "device"])
def backend(request):
    return request.param


@pytest.fixture(scope="module")
def evaluated(backend, tmp_path_factory):
    """A run with evaluations."""
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    options = {**SMALL, **EVALUATED, "backend": backend, "checkpoint_every": 0}
    sf.train(METHOD[backend], "CartPole-v1", out=folder, **options)
    return folder


@pytest.mark.parametrize(
    "checkpoint_every",
    # On the device all iterations are then one call, of another program.
    [0, pytest.param(60.0, marks=pytest.mark.slow)],
)
def test_a_run_with_evaluations_is_the_run_without(backend, checkpoint_every, evaluated, tmp_path):
    plain = tmp_path / "plain"
    options = {**SMALL, "backend": backend, "checkpoint_every": checkpoint_every}
    sf.train(METHOD[backend], "CartPole-v1", out=plain, **options)
    assert untimed(plain) == untimed(evaluated)
    assert same(arrays(plain), arrays(evaluated))
    assert not (plain / "best").exists()
    assert not (plain / "evaluations.jsonl").exists()


def test_evaluations_come_at_boundaries_and_at_the_end(evaluated):
    told = evaluations(evaluated)
    assert [one["steps"] for one in told] == AT
    for one in told:
        assert len(one["returns"]) == len(one["lengths"]) == 3
        assert one["mean"] == pytest.approx(np.mean(one["returns"]))
        assert one["std"] == pytest.approx(np.std(one["returns"]))
    metrics = (evaluated / "metrics.jsonl").read_text().splitlines()
    timings = [json.loads(x)["timing"] for x in metrics]
    steps = [128 * (i + 1) for i in range(6)]
    assert [t["evaluation"] is not None for t in timings] == [s in AT for s in steps]
    for timing in timings:
        assert timing["steps_per_s"] == pytest.approx(128 / timing["total"])


def test_the_last_evaluation_is_of_the_last_agent_and_its_own_episodes(backend, evaluated):
    run = prepare(METHOD[backend], "CartPole-v1", {**SMALL, "backend": backend})
    with_seed = run.evaluation_seed
    training = run._seeds.environment
    run.close()
    assert min(abs(with_seed - training), 2**31 - abs(with_seed - training)) >= 2**29
    again = sf.load(evaluated).evaluate(3, with_seed, env=ENV[backend])
    assert again.returns.tolist() == evaluations(evaluated)[-1]["returns"]


def test_the_best_agent_is_that_of_the_best_mean_the_earliest_of_equals(backend, evaluated):
    told = evaluations(evaluated)
    means = [one["mean"] for one in told]
    agent = sf.load(evaluated / "best")
    facts = agent.provenance["evaluated"]
    assert facts == {"steps": AT[int(np.argmax(means))], "mean": max(means), "episodes": 3}
    assert agent.provenance["trained_steps"] == facts["steps"]
    assert sf.load(evaluated).provenance["trained_steps"] == AT[-1]
    run = prepare(METHOD[backend], "CartPole-v1", {**SMALL, "backend": backend})
    run.close()
    assert agent.evaluate(3, run.evaluation_seed, env=ENV[backend]).mean == max(means)


def test_of_equal_means_the_earliest_is_kept_and_none_that_is_no_number(tmp_path):
    run = prepare("trpo", "CartPole-v1", SMALL)
    run.close()
    best, kept = BestAgent(run, tmp_path / "best", BestEffortWriter(pytest.fail)), []
    for steps, mean in enumerate(["nan", 5.0, 5.0, "nan", 7.0, 6.0]):
        best.add({"steps": steps, "mean": mean, "returns": [mean]})
        kept.append(None if best.saved is None else best.saved.metadata["steps"])
    assert kept == [None, 1, 1, 1, 4, 4]
    assert sf.load(tmp_path / "best").provenance["evaluated"]["steps"] == 4


class InterruptedHereError(Exception):
    pass


def test_what_is_after_the_checkpoint_is_cut_off_and_comes_again(backend, evaluated, tmp_path):
    folder = tmp_path / "run"

    def fail(row, agent):
        if row["iteration"] == 4:
            raise InterruptedHereError

    options = {**SMALL, **EVALUATED, "backend": backend}
    with pytest.raises(InterruptedHereError):
        sf.train(METHOD[backend], "CartPole-v1", out=folder, on_iteration=fail, **options)
    # The one checkpoint is of the first iteration, before all evaluations.
    assert [one["steps"] for one in evaluations(folder)] == AT[:3]
    assert (folder / "best").exists()
    seen = {}

    def look(row, agent):
        if not seen:
            seen["best"] = (folder / "best").exists()
            seen["steps"] = [one["steps"] for one in evaluations(folder)]

    sf.resume(folder, on_iteration=look)
    assert seen == {"best": True, "steps": AT[:1]}
    assert evaluations(folder) == evaluations(evaluated)
    assert same(arrays(folder, "best"), arrays(evaluated, "best"))
    assert untimed(folder) == untimed(evaluated)


@pytest.mark.parametrize("backend", ["host"], indirect=True)
def test_a_checkpoint_holds_the_best_agent_as_of_then(backend, evaluated, tmp_path):
    """From the checkpoint after 512 steps: what was best up to there is in its place again."""
    folder = tmp_path / "run"
    shutil.copytree(evaluated, folder)
    for late in ("00000005", "00000006"):
        shutil.rmtree(folder / "checkpoints" / late)
    # As if a later agent had been the best, and a line had been cut short.
    shutil.rmtree(folder / "best")
    shutil.copytree(folder / "agent", folder / "best")
    with (folder / "evaluations.jsonl").open("a") as file:
        file.write('{"steps": 7')
    until = evaluations(evaluated)[:2]
    best = until[int(np.argmax([one["mean"] for one in until]))]

    def stop(row, agent):
        facts = sf.load(folder / "best").provenance["evaluated"]
        if row["steps"] not in AT:
            assert facts["steps"] == best["steps"]
        else:
            told = evaluations(folder)
            assert told == evaluations(evaluated)[: len(told)]
            assert facts["mean"] == max(one["mean"] for one in told)

    sf.resume(folder, on_iteration=stop)
    assert evaluations(folder) == evaluations(evaluated)
    assert same(arrays(folder, "best"), arrays(evaluated, "best"))


@pytest.mark.parametrize("backend", ["device"], indirect=True)
def test_seeds_at_once_are_evaluated_as_each_alone(tmp_path, backend, evaluated):
    options = {k: v for k, v in {**SMALL, **EVALUATED}.items() if k != "seed"}
    seen = []
    sf.train_seeds(
        "reinforce",
        "CartPole-v1",
        [2, 3],
        out=tmp_path / "runs",
        backend="device",
        on_iteration=lambda row, agent: seen.append(agent.provenance["setup"]["seed"]),
        **options,
    )
    assert seen == [2, 3] * 6
    assert evaluations(tmp_path / "runs" / "seed-3") == evaluations(evaluated)
    assert evaluations(tmp_path / "runs" / "seed-2") != evaluations(evaluated)


def test_environments_are_made_once_and_closed(tmp_path, monkeypatch):
    made, closed = [], []

    class Counted(gymnasium.Wrapper):
        def __init__(self):
            super().__init__(gymnasium.make("CartPole-v1"))
            made.append(self)

        def close(self):
            closed.append(self)
            super().close()

    sf.train("trpo", Counted, out=tmp_path / "run", **{**SMALL, **EVALUATED})
    assert len(made) == 4 + 3
    assert set(made) == set(closed)


def test_mistakes_are_told_before_anything_is_written(tmp_path):
    envs = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 4)
    out = tmp_path / "run"
    with pytest.raises(sf.UsageError, match=r"no second one: pass a Gymnasium id or a callable"):
        sf.train("reinforce", envs, out=out, **SMALL, **EVALUATED)
    envs.close()
    with pytest.raises(sf.UsageError, match=r"evaluate_every is 200 and the run has no folder"):
        sf.train("reinforce", "CartPole-v1", **SMALL, **EVALUATED)
    endless = sf.DeviceEnv(DEVICE_ENVS["CartPole-v1"].env)
    with pytest.raises(sf.UsageError, match=r"pass time_limit=STEPS"):
        sf.train("reinforce", endless, out=out, **SMALL, **EVALUATED)
    with pytest.raises(sf.UsageError, match=r"evaluate_every is -1; accepted is"):
        sf.train("reinforce", "CartPole-v1", out=out, **SMALL, evaluate_every=-1)
    assert not out.exists()


class Endless(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (4,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(4, np.float32), {}

    def step(self, action):
        return self.np_random.normal(size=4).astype(np.float32), 1.0, False, False, {}


def test_evaluations_of_what_never_ends_are_cut_and_it_is_said_once(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluator, "MAX_EPISODE_STEPS", 9)
    folder = tmp_path / "run"
    with pytest.warns(RuntimeWarning, match="3 of 3 evaluated episodes had not ended") as told:
        sf.train("trpo", Endless, out=folder, **{**SMALL, **EVALUATED})
    assert len([one for one in told if "evaluated episodes" in str(one.message)]) == 1
    assert [row["lengths"] for row in evaluations(folder)] == [[9, 9, 9]] * len(AT)

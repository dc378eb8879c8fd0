"""Every sink holds what `metrics.jsonl` holds, also of a run that was resumed or whose disk was
full; and the callback sees it come."""

import csv
import errno
import json
import struct
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import surefoot as sf
from support.runs import BATCH, TINY, lines, rows, untimed
from surefoot.common.files.append_only import AppendOnlyFile
from surefoot.runs.display.progress import CallbackDisplay
from surefoot.runs.loggers import tags, wandb_logger
from surefoot.runs.loggers.base import Entry
from surefoot.runs.loggers.csv_logger import Table

event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
from tensorboardX.record_writer import masked_crc32c  # noqa: E402

SMALL = {**TINY, "steps": BATCH * 6}
EVALUATED = {"evaluate_every": 256, "evaluation_episodes": 2}
LOG = ("csv", "tensorboard")


class InterruptedHereError(Exception):
    pass


class Notes(CallbackDisplay):
    def __init__(self):
        self.notes = []
        super().__init__(note=self.notes.append)


def events(folder):
    """Those of all event files, read as TensorBoard reads them, with their checksums verified."""
    found = []
    for path in sorted((folder / "tensorboard").iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            header, body, rest = data[:8], data[12 : 12 + length], data[12 + length :]
            assert struct.unpack("<I", data[8:12]) == (masked_crc32c(header),)
            assert struct.unpack("<I", rest[:4]) == (masked_crc32c(body),)
            found.append(event_pb2.Event.FromString(body))
            data = rest[4:]
    return found


def scalars(folder):
    return [
        (event.step, {value.tag: value.simple_value for value in event.summary.value})
        for event in events(folder)
        if event.HasField("summary")
    ]


def table(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def check(folder):
    """Both sinks against the rows."""
    written, told, cells = rows(folder), scalars(folder), table(folder)
    assert len(written) == len(told) == len(cells)
    returns = []
    for row, (step, numbers), cell in zip(written, told, cells, strict=True):
        returns += row["episode_returns"]
        assert step == row["steps"]
        assert numbers["rollout/ep_rew_mean"] == pytest.approx(np.mean(returns[-100:]))
        assert numbers["train/approx_kl"] == pytest.approx(row["kl_mean"])
        assert numbers["train/entropy"] == -numbers["train/entropy_loss"]
        assert numbers["train/explained_variance"] == pytest.approx(row["explained_variance"])
        assert numbers["critic/kl_max"] == pytest.approx(row["critic_kl_max"])
        assert numbers["train/is_line_search_success"] == row["accepted"]
        assert numbers["time/fps"] == pytest.approx(row["timing"]["steps_per_s"])
        for name, value in row.items():
            if isinstance(value, int | float):
                assert float(cell[name]) == value
        assert float(cell["timing_total"]) == row["timing"]["total"]
        assert int(cell["episodes"]) == len(row["episode_returns"])
        mean = np.mean(row["episode_returns"]) if row["episode_returns"] else None
        assert cell["episode_return_mean"] == ("" if mean is None else str(mean))


def check_evaluations(folder):
    """TensorBoard's against the lines, of a whole run."""
    told = {one["steps"]: one for one in lines(folder / "evaluations.jsonl")}
    assert list(told) == [256, 512, 768]
    for step, numbers in scalars(folder):
        assert ("eval/mean_reward" in numbers) == (step in told)
        if step in told:
            assert numbers["eval/mean_reward"] == pytest.approx(told[step]["mean"])
            assert numbers["eval/mean_ep_length"] == pytest.approx(np.mean(told[step]["lengths"]))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(folder, what the callback was given) of a run that was not interrupted."""
    folder, given = tmp_path_factory.mktemp("whole") / "run", []
    options = {**SMALL, **EVALUATED, "log": LOG}

    def keep(row, agent):
        given.append((row, agent))

    sf.train("trpo", "CartPole-v1", out=folder, on_iteration=keep, **options)
    return folder, given


def test_sinks_hold_what_the_rows_hold(whole):
    check(whole[0])
    check_evaluations(whole[0])


def test_the_callback_is_given_rows_and_agents_that_stay(whole):
    folder, given = whole
    assert [json.loads(json.dumps(row)) for row, _ in given] == rows(folder)
    observations = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    final = sf.load(folder)
    last, first = given[-1][1], given[0][1]
    assert np.array_equal(last.predict(observations)[0], final.predict(observations)[0])
    ours = [np.asarray(x) for x in _leaves(first)]
    theirs = [np.asarray(x) for x in _leaves(final)]
    assert any(not np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def _leaves(agent):
    import equinox as eqx
    import jax

    return jax.tree.leaves(eqx.filter(agent.policy, eqx.is_array))


@pytest.mark.parametrize("answer", [False, np.False_])
def test_false_ends_the_run_after_that_iteration(answer, whole, tmp_path):
    folder, seen = tmp_path / "run", []

    def until_two(row, agent):
        seen.append(row["iteration"])
        return answer if row["iteration"] == 2 else None

    options = {**SMALL, **EVALUATED, "log": LOG}
    agent = sf.train("trpo", "CartPole-v1", out=folder, on_iteration=until_two, **options)
    assert seen == [0, 1, 2]
    assert untimed(folder) == untimed(whole[0])[:3]
    stopped = whole[1][2][1]
    for one in (agent, sf.load(folder)):
        for a, b in zip(_leaves(one), _leaves(stopped), strict=True):
            assert np.array_equal(a, b)
    check(folder)
    sf.resume(folder, on_iteration=lambda row, agent: seen.append(row["iteration"]))
    assert seen == list(range(6))
    assert untimed(folder) == untimed(whole[0])
    check(folder)
    check_evaluations(folder)


@pytest.mark.parametrize("answer", [None, 0, True, "", np.zeros(2)])
def test_every_other_value_goes_on(answer):
    seen = []

    def callback(row, agent):
        seen.append(row["iteration"])
        return answer

    sf.train("trpo", "CartPole-v1", on_iteration=callback, **{**SMALL, "steps": 256})
    assert seen == [0, 1]


def test_sinks_go_on_without_a_duplicate_and_without_a_gap(whole, tmp_path):
    """The one checkpoint is of the first iteration; the callback's error leaves four more."""
    folder = tmp_path / "run"

    def fail(row, agent):
        if row["iteration"] == 4:
            raise InterruptedHereError("of the user's own")

    options = {**SMALL, **EVALUATED, "log": LOG}
    with pytest.raises(InterruptedHereError, match="of the user's own") as raised:
        sf.train("trpo", "CartPole-v1", out=folder, on_iteration=fail, **options)
    assert raised.traceback[-1].name == "fail"
    assert len(rows(folder)) == len(table(folder)) == len(scalars(folder)) == 5
    # What was lost with the process, or is torn, is no matter.
    with (folder / "metrics.csv").open("r+b") as file:
        file.truncate(2000)
    path = next((folder / "tensorboard").iterdir())
    path.write_bytes(path.read_bytes()[:-7])
    sf.resume(folder)
    check(folder)
    assert untimed(folder) == untimed(whole[0])
    ours, theirs = (
        [{k: v for k, v in x.items() if not k.startswith("timing")} for x in table(f)]
        for f in (folder, whole[0])
    )
    assert ours == theirs
    times = [event.wall_time for event in events(folder) if event.HasField("summary")]
    assert times == sorted(times)
    # A TensorBoard that has read the first file forgets it.
    start = events(folder)[1]
    assert start.step == 0
    assert start.session_log.status == start.session_log.START


@pytest.mark.parametrize("full", ["metrics.csv", "events.out.tfevents"])
def test_a_full_disk_is_told_once_and_loses_nothing(full, tmp_path, monkeypatch):
    folder, shown, now = tmp_path / "run", Notes(), {"full": False}
    wrapped = AppendOnlyFile.flush

    def flush(self):
        if now["full"] and full in self.path.name:
            self._file.write(self._pending[:5])
            raise OSError(errno.ENOSPC, "No space left on device")
        return wrapped(self)

    def fill(row, agent):
        now["full"] = 1 <= row["iteration"] < 4

    monkeypatch.setattr(AppendOnlyFile, "flush", flush)
    sf.train(
        "trpo",
        "CartPole-v1",
        out=folder,
        log=LOG,
        display=lambda _: shown,
        on_iteration=fill,
        **SMALL,
    )
    assert len(shown.notes) == 1
    assert "cannot be written: No space left on device; training goes on" in shown.notes[0]
    check(folder)


def test_a_table_has_one_header_though_a_later_row_brings_a_field(tmp_path):
    path = tmp_path / "metrics.csv"
    sink = Table(path)
    row = {"iteration": 0, "std": [0.5, 0.25], "refused": False, "value": "nan"}
    sink.write(Entry(row, None, 0.0))
    sink.write(Entry({**row, "iteration": 1, "effective_sample_size": 7.5}, None, 0.0))
    sink.write(Entry({"iteration": 2, "std": [0.5, 0.25], "refused": True}, None, 0.0))
    sink.close()
    assert path.read_text().splitlines() == [
        "iteration,std_0,std_1,refused,value,effective_sample_size",
        "0,0.5,0.25,0,nan,",
        "1,0.5,0.25,0,nan,7.5",
        "2,0.5,0.25,1,,",
    ]


@pytest.mark.parametrize("again", [True, False])
def test_a_disk_that_is_full_when_a_table_is_widened_loses_no_cell(again, tmp_path, monkeypatch):
    """Whether another row comes, or the end."""
    path, full = tmp_path / "metrics.csv", [True]
    written = Path.write_bytes

    def write_bytes(self, data):
        if full.pop():
            written(self, data[:5])
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(self, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    sink = Table(path)
    sink.write(Entry({"iteration": 0}, None, 0.0))
    with pytest.raises(OSError, match="No space left"):
        sink.write(Entry({"iteration": 1, "value": 0.5}, None, 0.0))
    assert path.read_text() == "iteration\n0\n"
    assert list(tmp_path.iterdir()) == [path]
    full.append(False)
    if again:
        sink.write(Entry({"iteration": 2, "value": 0.25}, None, 0.0))
    sink.close()
    lines = ["iteration,value", "0,", "1,0.5", "2,0.25"]
    assert path.read_text().splitlines() == (lines if again else lines[:-1])


def test_tags_are_the_fields_own():
    row = {
        "iteration": 3,
        "steps": 512,
        "kl_mean": 0.25,
        "clip_fraction": 0.5,
        "entropy": 1.5,
        "std": [0.5, 1.0],
        "critic_kl_mean": "nan",
        "critic_refused": False,
        "episode_returns": [1.0, "inf"],
        "episode_lengths": [10, 20],
        "env_restarts": 1,
        "timing": {"total": 2.0, "steps_per_s": 64.0, "program": None},
    }
    told = tags.Tags()(Entry(row, None, 0.0))
    assert np.isnan(told.pop("critic/kl_mean"))
    assert told == {
        "rollout/ep_rew_mean": float("inf"),
        "rollout/ep_len_mean": 15.0,
        "rollout/env_restarts": 1.0,
        "time/iterations": 4.0,
        "time/total": 2.0,
        "time/fps": 64.0,
        "train/approx_kl": 0.25,
        "train/clip_fraction": 0.5,
        "train/entropy": 1.5,
        "train/entropy_loss": -1.5,
        "train/std": 0.75,
        "train/std_0": 0.5,
        "train/std_1": 1.0,
        "critic/refused": 0.0,
    }


class FakeRun:
    def __init__(self, options):
        self.options, self.logged, self.defined, self.finished = options, [], [], False

    def define_metric(self, *names, **options):
        self.defined.append((*names, options))

    def log(self, numbers, step):
        if self.options["fail"](step):
            raise self.options["errors"].Error("the service is away")
        self.logged.append((step, numbers))

    def finish(self):
        self.finished = True


@pytest.fixture
def wandb(monkeypatch):
    """As much of the package as is used."""
    module = types.ModuleType("wandb")
    module.__spec__ = sys.__spec__
    module.errors = types.SimpleNamespace(Error=type("Error", (Exception,), {}))
    module.Settings = dict
    module.runs, module.logged_in, module.fail = [], True, lambda step: False
    module.login = lambda prompt: module.logged_in

    def init(**options):
        # The real one's default outside of notebooks: a run that is not finished is given again.
        active = [run for run in module.runs if not run.finished]
        if active and options["settings"].get("reinit", "return_previous") == "return_previous":
            return active[-1]
        extra = {"fail": lambda step: module.fail(step), "errors": module.errors}
        module.runs.append(FakeRun({**options, **extra}))
        return module.runs[-1]

    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def test_weights_and_biases_is_given_every_row_once_on_the_axis_of_steps(wandb, tmp_path):
    folder, shown = tmp_path / "run", Notes()
    wandb.fail = lambda step: step == 1 and not shown.notes

    def stop(row, agent):
        return row["iteration"] < 2

    sf.train(
        "trpo",
        "CartPole-v1",
        out=folder,
        log=("wandb",),
        display=lambda _: shown,
        on_iteration=stop,
        **SMALL,
    )
    (first,) = wandb.runs
    assert [step for step, _ in first.logged] == [0, 1, 2]
    assert [numbers["steps"] for _, numbers in first.logged] == [128, 256, 384]
    assert shown.notes == [
        f"{folder / 'wandb'} cannot be written: Error: the service is away; training goes on"
    ]
    assert first.finished
    assert ("*", {"step_metric": "steps"}) in first.defined
    assert first.options["config"]["algorithm"] == "trpo"
    sf.resume(folder)
    second = wandb.runs[1]
    assert second.options["id"] == first.options["id"]
    assert second.options["resume"] == "allow"
    assert [step for step, _ in second.logged] == list(range(6))
    assert second.logged[:3] == first.logged


def test_seeds_at_once_have_a_run_each_of_weights_and_biases(wandb, tmp_path):
    config = {"algorithm": "trpo", "environment": "CartPole-v1"}
    sinks = [wandb_logger.make(tmp_path / f"seed-{seed}", config) for seed in range(2)]
    for iteration in range(2):
        for seed, sink in enumerate(sinks):
            row = {"iteration": iteration, "steps": 8 * iteration, "kl_mean": float(seed)}
            row |= {"episode_returns": [], "episode_lengths": []}
            sink.write(Entry(row, None, 0.0))
    for sink in sinks:
        sink.close()
    assert [run.options["name"] for run in wandb.runs] == ["seed-0", "seed-1"]
    for seed, run in enumerate(wandb.runs):
        assert [step for step, _ in run.logged] == [0, 1]
        assert {numbers["train/approx_kl"] for _, numbers in run.logged} == {seed}
        assert run.finished


def test_what_a_sink_lacks_is_told_before_anything_is_written(wandb, tmp_path, monkeypatch):
    out = tmp_path / "run"

    def refused(match, **options):
        with pytest.raises(sf.UsageError, match=match) as told:
            sf.train("trpo", "CartPole-v1", **{"out": out, **SMALL, **options})
        assert "\n" not in str(told.value)

    wandb.logged_in = False
    monkeypatch.setenv("WANDB_MODE", "online")
    refused("needs a login: run 'wandb login', or set WANDB_MODE=offline", log=["wandb"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused(r"pip install 'surefoot\[tensorboard\]'", log=["csv", "tensorboard"])
    refused(r"log is 'tensorbord'; accepted are .*Did you mean 'tensorboard'", log=["tensorbord"])
    refused("log is 3; accepted are 'csv', 'tensorboard', 'wandb'", log=3)
    refused(r"log is \('csv',\) and the run has no folder: pass out=", log=["csv"], out=None)
    refused("on_iteration is 5; accepted is a function of a row and an agent", on_iteration=5)
    assert not out.exists()


def test_the_real_client_writes_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = tmp_path / "run"
    sf.train("trpo", "CartPole-v1", out=folder, log=["wandb"], **SMALL)
    (written,) = (folder / "wandb").glob("offline-run-*/run-*.wandb")
    assert written.stat().st_size > 0
    assert (folder / "wandb" / "id").read_text() in written.name

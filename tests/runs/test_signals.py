"""The first signal asks a run to end, the second ends it."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import surefoot as sf
from support.suites import cases
from surefoot.cli.main import main
from surefoot.runs.folder import checkpoints
from surefoot.runs.signals import Signals, what_is_left


def started(*command):
    """The process, in a group of its own."""
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition):
    while not condition():
        time.sleep(0.02)


SIGNALS = [signal.SIGINT, signal.SIGTERM]
#: The same for both tests, whose programs are then the same.
SMALL = ["--num-envs=2", "--horizon=32", "--hidden=8"]
LONG = ["--steps=1000000", "--checkpoint-every=3600"]


@pytest.mark.parametrize("sent", cases(SIGNALS, fast=[signal.SIGINT]))
def test_a_run_ends_with_a_checkpoint_and_can_be_gone_on_with(sent, tmp_path):
    folder = tmp_path / "run"
    command = ["train", "reinforce", "CartPole-v1", f"--out={folder}", *SMALL, *LONG]
    process = started(sys.executable, "-m", "surefoot.cli", *command)
    rows = folder / "metrics.jsonl"
    wait_for(lambda: rows.exists() and rows.stat().st_size > 2000)
    os.killpg(process.pid, sent)
    out, err = process.communicate()
    assert process.returncode == 128 + sent
    assert f"{sent.name}: finishing the iteration" in err
    told = [json.loads(line) for line in rows.read_text().splitlines()]
    path = checkpoints.paths(folder / "checkpoints")[-1]
    assert checkpoints.read(path).iterations == len(told)
    assert f"interrupted after {told[-1]['steps']:,} steps: '" in out
    assert f"surefoot.cli resume {folder}'" in out
    sf.load(folder)


def test_a_signal_to_all_processes_of_a_run_leaves_its_workers_alone(tmp_path):
    """As a batch system sends it: workers go on until the run has ended."""
    folder = tmp_path / "run"
    command = ["train", "reinforce", "CartPole-v1", f"--out={folder}", *SMALL, *LONG]
    process = started(sys.executable, "-m", "surefoot.cli", *command, "--vectorization=async")
    rows = folder / "metrics.jsonl"
    wait_for(lambda: rows.exists() and rows.stat().st_size > 2000)
    os.killpg(process.pid, signal.SIGTERM)
    out, _ = process.communicate()
    assert process.returncode == 143
    assert "restarted" not in out
    told = [json.loads(line) for line in rows.read_text().splitlines()]
    assert not any(row["env_restarts"] for row in told)
    assert checkpoints.paths(folder / "checkpoints")[-1].name == f"{len(told):08d}"


SCRIPT = """
import sys, time
from surefoot.runs import signals
signals.PATIENCE, signals.ECHO = float(sys.argv[1]), 1.0
with signals.Signals() as asked:
    print("ready", flush=True)
    time.sleep(120)
"""


@pytest.mark.parametrize("sent", cases(SIGNALS, fast=[signal.SIGTERM]))
def test_a_second_signal_ends_at_once(sent):
    process = started(sys.executable, "-c", textwrap.dedent(SCRIPT), "100")
    process.stdout.readline()
    process.send_signal(sent)
    assert process.stderr.readline() == "\n"
    assert "once more ends at once" in process.stderr.readline()
    process.send_signal(sent)  # An echo: `timeout` signals a process, and then its group.
    time.sleep(1.2)
    assert process.poll() is None
    process.send_signal(sent)
    assert "ended at once" in process.communicate()[1]
    assert process.returncode == 128 + sent


def test_what_does_not_end_in_time_is_ended():
    process = started(sys.executable, "-c", textwrap.dedent(SCRIPT), "0.2")
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert "the iteration did not end within 0.2 s" in process.communicate()[1]
    assert process.returncode == 143


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with Signals() as asked:
        assert not asked.asked()
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ((), "nothing was written"),
        (("run",), "there was no checkpoint yet: .*run cannot be gone on with"),
        (("run/checkpoints/00000003",), "the last checkpoint stands"),
    ],
)
def test_what_an_end_at_once_leaves_is_said_as_it_is(made, says, tmp_path):
    for name in made:
        (tmp_path / name).mkdir(parents=True)
    assert re.fullmatch(says, what_is_left([tmp_path / "run"]))


def test_of_several_runs_all_have_a_checkpoint_or_none_is_said_to_stand(tmp_path):
    (tmp_path / "seed-0/checkpoints/00000001").mkdir(parents=True)
    (tmp_path / "seed-1").mkdir()
    assert "no checkpoint" in what_is_left([tmp_path / "seed-0", tmp_path / "seed-1"])
    assert what_is_left([None]) == "nothing was to be written"


def test_in_a_thread_signals_are_left_alone():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def work():
        with Signals() as asked:
            during = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
            return asked.asked(), during

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(work).result() == (False, before)


def test_the_command_line_trains_in_a_thread(tmp_path, capsys):
    command = ["train", "trpo", "CartPole-v1", f"--out={tmp_path / 'run'}", "--no-report"]
    shape = ["--num-envs=4", "--horizon=32", "--hidden=8", "--steps=128"]
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(main, [*command, *shape]).result() == 0
    assert (tmp_path / "run" / "agent").is_dir()

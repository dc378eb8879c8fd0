"""Bar, percentage and time left are on the screen at any width; what follows is dropped instead."""

import contextlib
import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import surefoot as sf
from support.runs import BATCH, TINY
from support.terminal import HEIGHT, terminal
from surefoot.common.errors import UsageError
from surefoot.runs.display import progress
from surefoot.runs.display.dashboard import Dashboard, table
from surefoot.runs.display.gauge import Gauge, fit, percentage
from surefoot.runs.display.progress import CallbackDisplay, LineDisplay, ProgressBar, make_display
from surefoot.runs.display.summary import Summary
from surefoot.runs.display.watched_run import RunWatcher
from surefoot.training.iteration import Iteration, Timing

WIDTHS = (40, 60, 80, 100, 140)
LINE = re.compile(r"([━─]{10,20}) +(\d+)% ([\d.]+ (?:s|min|h|d)) left(?:  (.*))?")


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def iteration(number, steps, **more):
    metrics = {"kl_mean": 0.0099, "accepted": True, "refused": False, "learned_rows": 2048, **more}
    return Iteration(
        number, steps, None, metrics, np.array([491.25]), np.array([491]), Timing(1.0, 10_017.0)
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_a_terminal_shows_bar_percentage_and_time_left(width):
    clock = Clock()
    with terminal(width) as screen, os.fdopen(os.dup(screen.slave), "w") as file:
        console = Console(file=file, width=width, height=HEIGHT)
        shown = make_display(console, 1_000_000)
        assert isinstance(shown, ProgressBar)
        shown.close()
        shown = ProgressBar(console, 1_000_000, clock=clock)
        for number in range(5):
            clock.now += 60.0
            shown.show(iteration(number, 100_000 * (number + 1)))
        shown.note("something happened")
        shown.close()
    drawn = [LINE.fullmatch(line) for lines in screen.seen for line in lines if " left" in line]
    assert drawn
    assert all(drawn)
    last = drawn[-1]
    assert last[2] == "50"
    assert last[3] == "5 min"
    fields = last[4].split(" · ") if last[4] else []
    told = ["return 491.2", "500,000 steps", "10,017 steps/s"]
    told += ["KL 0.0099", "step accepted"]
    kept = {40: 1, 60: 2, 80: 3, 100: 4, 140: 5}[width]
    assert fields == told[:kept]
    assert "something happened" in screen.lines()[0]
    ended = screen.lines()[1]
    assert re.match(r"━+─+ +50% in 5 min(  return|$)", ended)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_terminal_shows_what_went_wrong_first(width):
    with terminal(width) as screen, os.fdopen(os.dup(screen.slave), "w") as file:
        shown = ProgressBar(Console(file=file, width=width, height=HEIGHT), 1000)
        shown.show(iteration(0, 100, refused=True))
        shown.close()
    assert "update REFUSED" in screen.lines()[0]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    width=st.integers(40, 250),
    total=st.integers(1, 10**12),
    share=st.floats(0, 1),
    seconds=st.floats(1e-3, 1e7),
    fields=st.lists(st.text("abcäß→…倉", min_size=1, max_size=30), max_size=6),
    ascii_only=st.booleans(),
)
def test_the_line_fits_any_width_and_never_loses_its_beginning(
    width, total, share, seconds, fields, ascii_only
):
    clock = Clock()
    gauge = Gauge(total, clock)
    gauge.update(0, fields)
    clock.now = seconds
    steps = round(share * total)
    gauge.update(steps, fields)
    console = Console(file=io.StringIO(), width=width)
    options = console.options.update(width=width)
    options.encoding = "ascii" if ascii_only else "utf-8"
    (text,) = gauge.__rich_console__(console, options)
    assert text.cell_len <= width
    full, rest = "#-" if ascii_only else "━─"
    said = re.match(rf"{re.escape(full)}*{rest}* +(\d+)% ?(?:[\d.]+ \w+ left)?", text.plain)
    assert said
    assert (int(said[1]) == 100) == (steps >= total)
    assert (" left" in text.plain) == (steps > 0)
    rest = text.plain[said.end() :].strip()
    assert " · ".join(fields).startswith(rest)


def test_the_time_left_is_that_of_the_last_half_minute():
    clock = Clock()
    gauge = Gauge(1000, clock)
    assert gauge.time_told == ""
    clock.now = 100.0  # Compiled, or restored at 400: no rate begins there.
    gauge.update(400, ())
    assert gauge.time_told == ""
    clock.now = 110.0
    gauge.update(500, ())
    assert gauge.time_told == "50 s left"
    clock.now = 120.0
    assert gauge.time_told == "40 s left"
    for _ in range(100):
        clock.now += 1.0
        gauge.update(501 + _, ())
    assert gauge.time_told == "7 min left"
    clock.now += 1e4
    assert gauge.time_told == "0 s left"
    gauge.end()
    assert gauge.time_told == "in 4 min"
    for _ in range(100_000):
        clock.now += 1e-4
        gauge.update(700, ())
    assert len(gauge._marks) < 100


def test_fields_are_dropped_from_the_end():
    assert fit(["a", "bb", "c"], 6) == "a · bb"
    assert fit(["a", "bb", "c"], 5) == "a"
    assert fit(["long"], 3) == ""
    assert [percentage(x) for x in (0, 0.004, 0.995, 0.9999, 1, 2)] == [
        *("0%", "0%", "99%", "99%", "100%", "100%")
    ]


def summary(steps, rate):
    told = Summary()
    told.add({"steps": steps, "timing": {"steps_per_s": rate}, "kl_mean": 0.01})
    return told


@pytest.mark.parametrize("width", WIDTHS)
def test_watch_shows_bar_percentage_and_time_left(width, tmp_path):
    config = {"algorithm": "trpo", "environment": "HalfCheetah-v5", "setup": {"seed": 0}}
    config["hyperparameters"] = {"max_kl": 0.01}
    name = "trpo-HalfCheetah-v5-0-20260101-000000"
    watched = RunWatcher(tmp_path / name)
    watched.summary, watched._budget, watched._written = summary(450_000, 1000.0), 1_000_000, True
    watched.summary.batch = 1
    alone = Dashboard(config, watched.summary, total=1_000_000)
    for view in (alone, table([watched], tmp_path, width=width)):
        with terminal(width) as screen, os.fdopen(os.dup(screen.slave), "w") as file:
            Console(file=file, width=width, height=HEIGHT).print(view)
        (line,) = [line for line in screen.lines() if "45%" in line]
        assert re.search(r"━+─+ +45%.* 9 min", line)
        assert len(screen.lines()) < 12


def test_a_bar_is_shown_where_standard_error_is_a_terminal(monkeypatch):
    def chosen(told, **kind):
        console = Console(file=io.StringIO(), **kind)
        monkeypatch.setattr(progress, "Console", lambda stderr: console)
        shown = progress.choose_display(told, None)(100)
        shown.close()
        return type(shown)

    assert chosen(None, force_terminal=True) is ProgressBar
    assert chosen(None, force_terminal=False) is CallbackDisplay
    assert chosen(False, force_terminal=True) is CallbackDisplay
    assert chosen(True, force_terminal=True) is ProgressBar
    assert chosen(True, force_terminal=False) is LineDisplay
    monkeypatch.setenv("TERM", "dumb")
    assert chosen(True, force_terminal=True) is LineDisplay


@pytest.mark.parametrize("progress", ["yes", 1, 0.0])
def test_progress_is_true_or_false(progress):
    with pytest.raises(UsageError, match=r"progress is .*; accepted are True, False and None"):
        sf.train("trpo", "CartPole-v1", progress=progress, steps=BATCH, **TINY)


def test_progress_and_display_are_one_too_many(tmp_path):
    with pytest.raises(UsageError, match="progress and display"):
        sf.resume_seeds(tmp_path, progress=True, display=lambda steps: CallbackDisplay())


def test_train_and_resume_show_progress_on_standard_error(tmp_path, capsys, monkeypatch):
    run = {**TINY, "out": tmp_path / "run"}
    sf.train("trpo", "CartPole-v1", steps=2 * BATCH, progress=True, **run)
    told = capsys.readouterr()
    assert "256 steps" in told.err
    assert not told.out
    sf.resume(tmp_path / "run", steps=3 * BATCH, progress=True)
    assert "384 steps" in capsys.readouterr().err
    sf.resume(tmp_path / "run", steps=4 * BATCH)
    assert capsys.readouterr() == ("", "")


def test_what_is_printed_meanwhile_gets_where_it_was_to_go(monkeypatch, tmp_path):
    """Standard output is a file: a line of the user's own is not to be on the terminal."""
    with terminal(80) as screen, os.fdopen(os.dup(screen.slave), "w") as file:
        shown = ProgressBar(Console(file=file, width=80), 1000)
        written = io.StringIO()
        with contextlib.redirect_stdout(written):
            bar = ProgressBar(Console(file=file, width=80), 1000)
            print("mine")
            bar.close()
        shown.close()
    assert written.getvalue() == "mine\n"
    assert not any("mine" in line for lines in screen.seen for line in lines)


def test_a_run_that_is_refused_leaves_no_bar(tmp_path):
    with terminal(80) as screen, os.fdopen(os.dup(screen.slave), "w") as file:
        console = Console(file=file, width=80, height=HEIGHT)
        with pytest.raises(UsageError, match="no folder"):
            sf.train(
                "trpo",
                "CartPole-v1",
                steps=BATCH,
                log=("csv",),
                display=lambda steps: make_display(console, steps),
                **TINY,
            )
    assert not screen.lines()


class Closed(io.StringIO):
    def write(self, text):
        raise OSError(5, "Input/output error")


def test_a_terminal_that_is_closed_ends_nothing():
    shown = make_display(Console(file=Closed(), force_terminal=True), 1000)
    shown.show(iteration(0, 100))
    shown.close()


TRAIN = ["train", "trpo", "CartPole-v1", "--num-envs", "4", "--horizon", "32", "--hidden", "8"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [40, 80])
def test_commands_show_bar_percentage_and_time_left(width, tmp_path):
    steps = str(200 * BATCH)
    commands = [
        [*TRAIN, "--steps", steps, "--out", "run", "--no-report"],
        [*TRAIN, "--steps", steps, "--out", "live", "--no-report", "--live"],
        ["watch", "run", "--once"],
        ["watch", ".", "--once"],
    ]
    screens = []
    for command in commands:
        with terminal(width) as screen:
            done = subprocess.run(
                [sys.executable, "-m", "surefoot.cli", *command],
                cwd=tmp_path,
                stdin=subprocess.DEVNULL,
                stdout=screen.slave,
                stderr=screen.slave,
                env={k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")},
            )
            assert done.returncode == 0
        screens.append(screen)
    bar, live, one, several = screens
    drawn = [line for lines in bar.seen for line in lines if " left" in line]
    assert drawn
    assert all(LINE.fullmatch(line) for line in drawn)
    assert any(re.search(r"━+─+ +\d+%.* left", line) for lines in live.seen for line in lines)
    assert any(re.search(r"━+ +100%", line) for line in one.lines())
    assert sum(bool(re.search(r"━+ +100%.*finished", line)) for line in several.lines()) == 2


SCRIPT = """
import surefoot as sf
sf.train("trpo", "CartPole-v1", num_envs=4, horizon=32, hidden=(8,), steps=25600,
         on_iteration=lambda row, agent: print("row") if row["iteration"] == 100 else None)
"""


@pytest.mark.slow
def test_a_script_shows_a_bar_on_standard_error_alone(tmp_path):
    with terminal(80) as screen:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=screen.slave,
            env={k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")},
        )
    assert (done.returncode, done.stdout) == (0, b"row\n")
    assert any(LINE.fullmatch(line) for lines in screen.seen for line in lines)

"""What `watch` shows is what the rows say, however they are being written."""

import contextlib
import dataclasses
import fcntl
import io
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from rich.console import Console

import surefoot as sf
from support.runs import BATCH, TINY
from surefoot.agents.playing.evaluation import Evaluation
from surefoot.cli.main import main
from surefoot.common.files.folder_lock import acquire_lock, is_held
from surefoot.runs.display.dashboard import LiveDashboard, of_run, table
from surefoot.runs.display.gauge import sparkline
from surefoot.runs.display.progress import SILENT, FailSafeDisplay, LineDisplay
from surefoot.runs.display.summary import Summary
from surefoot.runs.display.tail import Tail
from surefoot.runs.display.watched_run import STILL, RunWatcher
from surefoot.runs.folder.find_runs import find
from surefoot.training.iteration import Iteration, Timing, merged

SMALL = {**TINY, "steps": BATCH * 6}


def row(i, **more):
    return {
        "iteration": i,
        "steps": 128 * (i + 1),
        "kl_mean": 0.001 * i,
        "entropy": 0.6,
        "refused": i == 2,
        "episode_returns": [float(i)],
        "episode_lengths": [7],
        "timing": {"total": 1.0, "steps_per_s": 128.0, "update": 0.75, "act": 0.25, "compile": 0},
        **more,
    }


def lines(*numbers):
    return "".join(json.dumps(row(i)) + "\n" for i in numbers)


def fabricated(folder, text, *, steps=1280):
    folder.mkdir(parents=True)
    config = {
        "algorithm": "trpo",
        "environment": "CartPole-v1",
        "hyperparameters": {"max_kl": 0.01},
        "setup": {"steps": steps, "seed": 4},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "metrics.jsonl").write_text(text)
    return folder


@contextlib.contextmanager
def being_written(folder):
    lock = acquire_lock(folder)
    try:
        yield
    finally:
        lock.release()


def drawn(shown, width):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(shown)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return text


def numbers(news):
    return [row["iteration"] for row in news.rows]


def test_only_what_is_new_is_read_and_a_half_written_line_is_left(tmp_path):
    path = tmp_path / "metrics.jsonl"
    whole = lines(0, 1, 2)
    path.write_text(whole[:-20])
    tail = Tail(path)
    assert numbers(tail.read()) == [0, 1]
    assert tail.read() == ([], False)
    path.write_text(whole)
    assert tail.read() == ([row(2)], False)
    with path.open("a") as file:
        file.write("no JSON\n" + lines(3))
    assert numbers(tail.read()) == [3]


def test_reading_on_does_not_read_what_was_read(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    path.write_text(lines(*range(1000)))
    tail, parsed = Tail(path), []
    tail.read()
    with path.open("a") as file:
        file.write(lines(1000))
    monkeypatch.setattr(json, "loads", lambda text, of=json.loads: parsed.append(text) or of(text))
    assert numbers(tail.read()) == [1000]
    assert len(parsed) == 1


@pytest.mark.parametrize("after", [(0, 1), (0, 1, 2, 3, 4, 5)])
def test_a_file_that_was_cut_back_is_read_anew(after, tmp_path):
    """Shorter than before, or longer again by the time that it is looked at."""
    path = tmp_path / "metrics.jsonl"
    path.write_text(lines(0, 1, 2, 3))
    tail = Tail(path)
    tail.read()
    path.write_text(lines(*after).replace('"total": 1.0', '"total": 1.5'))
    news = tail.read()
    assert news.anew
    assert numbers(news) == list(after)


def test_a_run_is_running_interrupted_finished_or_stalled(tmp_path):
    run = RunWatcher(fabricated(tmp_path / "run", ""))
    assert run.poll()
    assert run.state == "starting"
    lock = acquire_lock(run.folder)
    assert run.poll()
    assert run.state == "starting"
    (run.folder / "metrics.jsonl").write_text(lines(*range(5)))
    assert run.poll()
    assert run.state == "running"
    assert (run.summary.steps, run.summary.batch, run.summary.refused) == (640, 128, 1)
    assert run.summary.scoring.score.value == 4.0
    old = time.time() - 2 * STILL
    os.utime(run.folder / "metrics.jsonl", (old, old))
    run.poll()
    assert run.state == "stalled"
    lock.release()
    run.poll()
    assert run.state == "interrupted"
    lock.acquire()
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write(lines(*range(5, 10)))
    run.poll()
    assert run.state == "finished"
    # Made longer: its newest checkpoint says so.
    (run.folder / "checkpoints" / "00000010").mkdir(parents=True)
    (run.folder / "checkpoints" / "00000010" / "manifest.json").write_text('{"budget": 2000}')
    run.poll()
    assert (run.state, run.total) == ("running", 1920)
    shutil.rmtree(run.folder)
    assert not run.poll()


def test_a_dashboard_tells_the_rows_in_any_width(tmp_path):
    folder = fabricated(tmp_path / "run", lines(*range(5)))
    (folder / "evaluations.jsonl").write_text('{"mean": 30.0}\n{"mean": 20.0}\n')
    run = RunWatcher(folder)
    with being_written(folder):
        run.poll()
    text = drawn(of_run(run), 80)
    for told in (
        "trpo on CartPole-v1 · seed 4 · running",
        f"{'━' * 18}{'─' * 18} 50% of 1,280, 5 s left",
        "128",
        "4.0, last tenth: 1 episode",
        "0.004 of 0.01",
        "▁▃▅▆█",
        "20.0, best 30.0",
        "update 75% · act 25%",
        "1 updates: not finite",
    ):
        assert told in text
    assert "explained" not in text
    assert "accepted" not in text
    assert "0.004 of 0.01" in drawn(of_run(run), 40)


def test_what_is_no_finite_number_counts_in_nothing(tmp_path):
    summary = Summary()
    timing = {"total": "nan", "steps_per_s": "inf", "update": 2.0, "act": "nan"}
    summary.add(row(0, episode_returns=[100.0, "nan"], episode_lengths=[5, None], kl_mean="nan"))
    summary.add(row(1, episode_returns=["-inf"], accepted="nan", backtracks=None, timing=timing))
    assert summary.scoring.score.diverged
    assert list(summary.courses["return"]) == [100.0]
    assert list(summary.courses["kl_mean"]) == [0.001]
    assert summary.rate == 128.0
    assert summary.spent == {"update": 2.75, "act": 0.25}
    assert not summary.accepted
    assert not summary.backtracks
    # What the newest row says is told, though.
    run = RunWatcher(fabricated(tmp_path / "run", json.dumps(row(0, kl_mean="nan")) + "\n"))
    (run.folder / "evaluations.jsonl").write_text('{"mean": "nan"}\n{"mean": 30.0}\n')
    run.poll()
    text = drawn(of_run(run), 80)
    assert "nan of 0.01" in text
    assert "30.0, best 30.0" in text


ODD = {
    "timing": row(0, timing=None),
    "times": row(0, timing={"update": [1], "steps_per_s": {}}),
    "returns": row(0, episode_returns=None, episode_lengths=3),
    "one-return": row(0, episode_returns=[None, [1], {}, "x"], episode_lengths=[]),
    "kl": row(0, kl_mean=[0.5], entropy={}, explained_variance="x"),
    "steps": row(0, steps="inf", refused="inf", accepted=[]),
    "huge": row(0, steps=10**400, kl_mean=10**400, refused=10**400),
    "far": [row(0, kl_mean=1.7e308), row(1, kl_mean=-1.7e308)],
}
ODD_CONFIGS = {
    "numbers": {"hyperparameters": ["max_kl"]},
    "names": {"algorithm": ["trpo"], "environment": "\ud800", "setup": {"steps": 1280, "seed": []}},
    "unlimited": {"setup": {"steps": float("inf"), "seed": 0}},
    "none": {"setup": None},
    "huge-kl": {"hyperparameters": {"max_kl": 10**400}},
}


def test_odd_files_end_neither_their_own_dashboard_nor_the_table(tmp_path, capsys):
    for name, rows in ODD.items():
        rows = rows if isinstance(rows, list) else [rows]
        fabricated(tmp_path / name, "".join(json.dumps(one) + "\n" for one in rows))
    for name, change in ODD_CONFIGS.items():
        path = fabricated(tmp_path / name, lines(0)) / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    deep = "[" * 100_000 + "]" * 100_000
    (fabricated(tmp_path / "deep", deep + "\n") / "evaluations.jsonl").write_text(
        '{}\n{"mean": []}\n{"mean": 30.0}\n{"mean": null}\n'
    )
    (fabricated(tmp_path / "deep-config", lines(0)) / "config.json").write_text(deep)
    (fabricated(tmp_path / "list", lines(0)) / "config.json").write_text("[]")
    no_runs = {"unlimited", "none", "deep-config", "list"}
    for path in tmp_path.iterdir():
        run = RunWatcher(path)
        assert run.poll()
        assert bool(run.config) == (path.name not in no_runs)
        if run.config:
            assert "on " in drawn(of_run(run), 80)
    assert main(["watch", str(tmp_path)]) == 0
    shown = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert shown == sorted({p.name for p in tmp_path.iterdir()} - no_runs)
    run = RunWatcher(tmp_path / "deep")
    assert run.poll()
    assert run.evaluations == [30.0]


def test_seeds_are_in_the_order_of_their_numbers(tmp_path):
    for name in ("seed-10", "seed-2"):
        fabricated(tmp_path / "both" / name, "")
    # It has no row yet.
    (fabricated(tmp_path / "alone", "") / "metrics.jsonl").unlink()
    found = [str(path.relative_to(tmp_path)) for path in find(tmp_path)]
    assert found == ["alone", "both/seed-2", "both/seed-10"]
    run = RunWatcher(tmp_path / "alone")
    with being_written(run.folder):
        assert run.poll()
        assert run.state == "starting"


def iteration(refused, evaluated, kl):
    timing = Timing(total=1.0, steps_per_s=128.0, program=1.0)
    metrics = {"kl_mean": kl, "refused": refused, "entropy": 0.6, "learned_rows": 64}
    evaluation = Evaluation(np.array([evaluated]), np.array([5]))
    returns = np.array([evaluated - 1.0])
    return Iteration(0, 64, None, metrics, returns, np.array([3]), timing, evaluation=evaluation)


def test_several_seeds_are_shown_as_their_mean(tmp_path):
    screen = io.StringIO()
    console = Console(file=screen, width=80, force_terminal=True, color_system=None)
    config = {
        "algorithm": "trpo",
        "environment": "CartPole-v1",
        "hyperparameters": {},
        "setup": {"seed": 3},
    }
    shown = LiveDashboard(console, config, 1280, seeds=range(3, 5))
    shown.show(merged([iteration(True, 10.0, 0.25), iteration(True, 20.0, 0.75)]))
    shown.show(merged([iteration(False, 10.0, 0.25), iteration(True, 60.0, 0.75)]))
    shown.close()
    score = "25.0, last tenth: 2 evaluations"
    for told in ("seeds 3 to 4", "3 updates: not finite", "35.0, best 35.0", score, "0.5"):
        assert told in screen.getvalue()
    line = io.StringIO()
    lines = LineDisplay(Console(file=line, width=200))
    lines.show(merged([iteration(False, 10.0, 0.25), iteration(False, 20.0, 0.75)]))
    assert "evaluated 15.0" in line.getvalue()
    assert "REFUSED" not in line.getvalue()


def test_a_sparkline_is_the_course_of_the_means():
    assert sparkline([], 10) == ""
    assert sparkline([3.0, 3.0], 10) == "▁▁"
    assert sparkline([0.0, 7.0], 10) == "▁█"
    assert sparkline([0, 0, 1, 1, 2, 2, 7, 7], 4) == "▁▂▃█"


def test_a_folder_is_a_table_of_its_runs(tmp_path, capsys, monkeypatch):
    fabricated(tmp_path / "a", lines(*range(10)))
    fabricated(tmp_path / "b" / "seed-3", lines(0) + '{"iteration"')
    fabricated(tmp_path / "half", "")
    (tmp_path / "half" / "config.json").write_text('{"algorithm"')
    for width in (80, 40):
        monkeypatch.setenv("COLUMNS", str(width))
        # No terminal: it prints once.
        with being_written(tmp_path / "b" / "seed-3"):
            assert main(["watch", str(tmp_path)]) == 0
        out = capsys.readouterr().out
        a, b = (next(x for x in out.splitlines() if x.startswith(n)) for n in ("a", "b/"))
        assert "finished" in a
        assert "100%" in a
        assert "running" in b
        assert "10%" in b
        assert "half" not in out
        assert max(map(len, out.splitlines())) <= width
        assert ("1,280" in out) == ("128 " in out) == (width == 80)


def test_the_name_of_a_run_is_whole_where_it_takes_half_of_the_width(tmp_path):
    name = "trpo-HalfCheetah-v5-0-20260101-000000"
    run = RunWatcher(fabricated(tmp_path / name, lines(0, 1)))
    run.poll()
    for width in (80, 200):
        text = drawn(table([run], tmp_path, width=width), width)
        assert name in text
        assert "running" in text
    assert "…" in drawn(table([run], tmp_path, width=40), 40)


def test_rows_that_come_tell_more_than_a_lock_that_is_not_seen(tmp_path):
    """As of a run on another machine, whose file system does not share locks."""
    run = RunWatcher(fabricated(tmp_path / "run", lines(0)))
    (run.folder / ".lock").touch()
    run.poll()
    assert run.state == "interrupted"
    for i in (1, 2):
        with (run.folder / "metrics.jsonl").open("a") as file:
            file.write(lines(i))
        run.poll()
        assert run.state == "running"
    run.poll()
    assert run.state == "running"


def test_any_number_may_look_whether_a_run_is_being_written(tmp_path):
    assert is_held(tmp_path) is None, "nobody has written it"
    with being_written(tmp_path), ThreadPoolExecutor(8) as pool:
        assert all(pool.map(is_held, [tmp_path] * 64))
        with pytest.raises(sf.UsageError, match="is being written by another process"):
            acquire_lock(tmp_path)
    assert is_held(tmp_path) is False
    # Who looks does not stand in the way of who writes.
    with ThreadPoolExecutor(4) as pool:
        looks = pool.map(is_held, [tmp_path] * 2000)
        for _ in range(50):
            acquire_lock(tmp_path).release()
        assert set(looks) <= {False, True}


def test_two_who_look_at_the_same_moment_take_neither_for_a_writer(tmp_path, monkeypatch):
    acquire_lock(tmp_path).release()
    flock, second = fcntl.flock, []

    def look_meanwhile(file, how):
        flock(file, how)
        monkeypatch.undo()
        second.append(is_held(tmp_path))

    monkeypatch.setattr(fcntl, "flock", look_meanwhile)
    assert is_held(tmp_path) is False
    assert second == [False]


def test_one_run_is_a_dashboard_and_no_run_is_said(tmp_path, capsys):
    alone = fabricated(tmp_path / "runs" / "a", lines(0))
    for state, held in (
        ("running", being_written(alone)),
        ("interrupted", contextlib.nullcontext()),
    ):
        with held:
            assert main(["watch", str(alone), "--once"]) == 0
        assert f"trpo on CartPole-v1 · seed 4 · {state}" in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    assert main(["watch", str(tmp_path / "empty"), "--once"]) == 0
    assert "no runs in" in capsys.readouterr().out
    (tmp_path / "q[" / "x]").mkdir(parents=True)
    assert main(["watch", str(tmp_path / "q[" / "x]"), "--once"]) == 0
    assert "q[/x] yet" in capsys.readouterr().out.replace("\n", "")
    assert main(["watch", "x" * 300]) == 2
    assert "can be no folder: File name too long" in capsys.readouterr().err
    assert main(["watch", str(tmp_path / "none")]) == 2
    assert "is no folder: pass a run's, or one that holds runs" in capsys.readouterr().err
    assert main(["watch", str(tmp_path), "--every", "0"]) == 2


def test_runs_come_and_go_until_control_c(tmp_path, capsys, monkeypatch):
    looks = []
    monkeypatch.setattr(Console, "is_terminal", True)

    def sleep(seconds):
        assert seconds == 0.5
        looks.append(seconds)
        if len(looks) == 1:
            fabricated(tmp_path / "later", lines(0))
        elif len(looks) == 2:
            shutil.rmtree(tmp_path / "later")
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    assert main(["watch", str(tmp_path), "--every", "0.5"]) == 0
    assert len(looks) == 3
    out = capsys.readouterr().out
    assert "no runs in" in out
    assert "later" in out
    assert out.rindex("no runs in") > out.rindex("later")
    assert out.rindex("\x1b[?25h") > out.rindex("\x1b[?25l")


def test_training_shows_the_dashboard_that_watch_shows(tmp_path):
    folder, screen = tmp_path / "run", io.StringIO()
    console = Console(file=screen, width=80, force_terminal=True, color_system=None)
    config = {"algorithm": "trpo", "environment": "CartPole-v1", "setup": {"seed": 0}}
    sf.train(
        "trpo",
        "CartPole-v1",
        out=folder,
        display=lambda steps: LiveDashboard(console, config, steps),
        **SMALL,
    )
    run = RunWatcher(folder)
    assert run.poll()
    assert run.state == "finished"
    score = run.summary.scoring.score
    mean = f"{score.value:.1f}, {score.brief}"
    assert mean in drawn(of_run(run), 80)
    assert "100% of 768" in screen.getvalue()
    assert mean in screen.getvalue()


def test_a_display_that_cannot_print_ends_no_run():
    def failing(error):
        def show(iteration):
            calls.append(iteration)
            raise error

        return dataclasses.replace(SILENT, show=show)

    lacking = UnicodeEncodeError("ascii", "±", 0, 1, "no")
    for error in (OSError(5, "Input/output error"), BrokenPipeError(), lacking):
        calls = []
        shown = FailSafeDisplay(failing(error))
        for number in range(3):
            shown.show(number)
        shown.close()
        assert calls == [0]
    with pytest.raises(ValueError, match="mine"):
        FailSafeDisplay(failing(ValueError("mine"))).show(0)
    closed = io.StringIO()
    closed.close()
    with contextlib.redirect_stdout(closed):
        FailSafeDisplay(failing(ValueError("I/O operation on closed file"))).show(0)

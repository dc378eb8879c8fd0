"""What `watch` shows is what the rows say, however they are being written."""

import io
import json
import os
import shutil
import time

import pytest
from rich.console import Console

import surefoot as sf
from surefoot.cli import main
from surefoot.runs.dashboard import LiveDashboard, of_run, sparkline
from surefoot.runs.reading import Tail
from surefoot.runs.watched import STILL, Watched

SMALL = {"num_envs": 4, "horizon": 32, "hidden": (8,), "steps": 128 * 6}


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


def test_a_run_is_running_finished_or_stalled(tmp_path):
    run = Watched(fabricated(tmp_path / "run", ""))
    assert run.look()
    assert run.state == "starting"
    (run.folder / "metrics.jsonl").write_text(lines(*range(5)))
    assert run.look()
    assert run.state == "running"
    assert (run.summary.steps, run.summary.batch, run.summary.refused) == (640, 128, 1)
    assert run.summary.mean_return == 2.0
    old = time.time() - 2 * STILL
    os.utime(run.folder / "metrics.jsonl", (old, old))
    run.look()
    assert run.state == "stalled"
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write(lines(*range(5, 10)))
    run.look()
    assert run.state == "finished"
    # Made longer: its newest checkpoint says so.
    (run.folder / "checkpoints" / "00000010").mkdir(parents=True)
    (run.folder / "checkpoints" / "00000010" / "manifest.json").write_text('{"budget": 2000}')
    run.look()
    assert (run.state, run.total) == ("running", 2000)
    shutil.rmtree(run.folder)
    assert not run.look()


def test_a_dashboard_tells_the_rows_in_any_width(tmp_path):
    folder = fabricated(tmp_path / "run", lines(*range(5)))
    (folder / "evaluations.jsonl").write_text('{"mean": 30.0}\n{"mean": 20.0}\n')
    run = Watched(folder)
    run.look()
    text = drawn(of_run(run), 80)
    for told in (
        "trpo on CartPole-v1 · seed 4 · running",
        "50% of 1,280, 5 s left",
        "128",
        "2.0 of 5 ep.",
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
        assert main(["watch", str(tmp_path)]) == 0
        out = capsys.readouterr().out
        a, b = (next(x for x in out.splitlines() if x.startswith(n)) for n in ("a", "b/"))
        assert "finished" in a
        assert "100%" in a
        assert "running" in b
        assert "10%" in b
        assert "half" not in out
        assert max(map(len, out.splitlines())) <= width
        assert ("of 1,280" in out) == ("0.009" in out) == (width == 80)


def test_one_run_is_a_dashboard_and_no_run_is_said(tmp_path, capsys):
    assert main(["watch", str(fabricated(tmp_path / "runs" / "a", lines(0))), "--once"]) == 0
    assert "trpo on CartPole-v1 · seed 4 · running" in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    assert main(["watch", str(tmp_path / "empty"), "--once"]) == 0
    assert "no runs in" in capsys.readouterr().out
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
    config = {"algorithm": "reinforce", "environment": "CartPole-v1", "setup": {"seed": 0}}
    sf.train(
        "reinforce",
        "CartPole-v1",
        out=folder,
        display=lambda steps: LiveDashboard(console, config, steps),
        **SMALL,
    )
    run = Watched(folder)
    assert run.look()
    assert run.state == "finished"
    mean = f"{run.summary.mean_return:.1f} of {len(run.summary.returns)} ep."
    assert mean in drawn(of_run(run), 80)
    assert "100% of 768" in screen.getvalue()
    assert mean in screen.getvalue()

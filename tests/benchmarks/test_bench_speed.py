"""The speed benchmark's logic: what is measured again, what is compared with what, the table."""

import json
import os
import sys

import pytest

from benchmarks.speed import runner, turns
from benchmarks.speed.__main__ import main
from benchmarks.speed.cases import (
    CASES,
    CONTESTANTS,
    LIMITS,
    ROOT,
    SCRIPTS,
    Case,
    Contestant,
)
from benchmarks.speed.contestants.clock import Clock, Done, TurnTaking
from benchmarks.speed.table import fastest, load, median, ratio, table

CLOCK = ("--seconds", "1", "--turns", "2")
ONE = Contestant("one", "surefoot", "with_surefoot.py", ("--algorithm", "trpo"))
COMMAND = Contestant("command", "surefoot", "surefoot", ("train",), rounds=1)


def measure(contestant, clock):
    rate = {} if contestant.is_command else {"steps_per_s": 10.0}
    return {**rate, "seconds": 2.0, "peak_mb": 100.0}


def rows_of(**rates):
    return {name: [{"steps_per_s": x} for x in values] for name, values in rates.items()}


def test_names_are_unique_and_what_is_compared_runs():
    names = [contestant.name for contestant in CONTESTANTS]
    assert len(set(names)) == len(names)
    for case in CASES:
        assert {case.ours, case.stepping, *case.theirs} <= set(names)
    assert {limit.contestant for limit in LIMITS} <= set(names)


def test_the_ratio_is_of_medians_and_to_the_fastest():
    case = Case("", "ours", "", ("slow", "fast"), "", 2.0)
    rows = rows_of(ours=[100, 1, 60], slow=[5, 5, 90], fast=[20, 1, 30])
    assert median(rows, "ours") == 60
    assert fastest(rows, case.theirs) == ("fast", 20)
    assert ratio(rows, case) == 3.0
    del rows["slow"]
    assert ratio(rows, case) is None


def test_the_clock_leaves_the_first_two_turns_out(monkeypatch):
    now = iter([0.0, 100.0, 101.0, 102.0, 104.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    clock = Clock(seconds=3.0, turns=2)
    started = []

    def loop():
        for turn in range(1, 10):
            started.append(clock.started)
            clock.tick(10 * turn)

    with pytest.raises(Done):
        loop()
    assert started == [False, False, True, True, True]
    assert (clock.turns, clock.elapsed, clock.steps) == (3, 4.0, 30)


def test_a_clock_by_turns_counts_no_waiting(monkeypatch, capsys):
    # The warm-up ends at 100, it waits until 200, and works for turns of 1 and 3 seconds; it is
    # asked again at 500 and told to end after 4 more.
    now = iter([0.0, 100.0, 200.0, 201.0, 203.0, 500.0, 504.0])
    lines = iter(["\n", "\n", ""])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    monkeypatch.setattr("sys.stdin", type("In", (), {"readline": lambda self: next(lines)})())
    clock = TurnTaking(share=2.0)

    def loop():
        for turn in range(1, 10):
            clock.tick(10 * turn)

    with pytest.raises(SystemExit):
        loop()
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {},
        {"steps": 20, "seconds": 3.0},
        {"steps": 10, "seconds": 4.0},
    ]


def test_a_clock_nobody_listens_to_ends_the_process(monkeypatch):
    def broken(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr("builtins.print", broken)
    clock = TurnTaking(share=1.0)
    clock.tick(1)
    with pytest.raises(SystemExit):
        clock.tick(2)


WORKER = """
import sys, time
sys.path.insert(0, {scripts!r})
from clock import clock_of, parser
args = parser(rate=100, fail=0, over=0).parse_args()
clock, steps = clock_of(args), 0
while True:
    time.sleep(0.002)
    steps += args.rate
    clock.tick(steps)
    if args.fail and steps >= args.fail:
        sys.exit("no more")
    if args.over and steps >= args.over:
        print("steps_per_s")
"""


def entrant(text, *options):
    code = WORKER.format(scripts=str(SCRIPTS))
    return turns.Entrant(text, (sys.executable, "-c", code, *options), None)


def test_contestants_take_turns(monkeypatch):
    monkeypatch.setattr(turns, "two_cores", lambda: None)
    entrants = [entrant("one"), entrant("seven", "--rate", "7")]
    took = turns.take_turns(entrants, cycles=6, seconds=0.05)
    assert {name: len(mine) for name, mine in took.items()} == {"one": 6, "seven": 6}
    assert all(share.seconds >= 0.05 for mine in took.values() for share in mine)
    for name, rate in (("one", 100), ("seven", 7)):
        # The sleeps of a share of 0.05 s are at most 25.
        assert all(share.steps in range(rate, 26 * rate, rate) for share in took[name])
    compared = turns.compare(took)
    assert compared["one"][1:] == (1.0, 1.0, 1.0)
    assert "| `seven` | " in turns.table(compared)


def test_ratios_are_of_all_shares_and_their_interval_is_of_cycles_drawn_again():
    one = [turns.Share(100, 1.0), turns.Share(50, 1.0)]
    # Twice as fast in every cycle, though the machine halves: no doubt of the ratio.
    other = [turns.Share(400, 2.0), turns.Share(300, 3.0)]
    compared = turns.compare({"one": one, "other": [other[0], turns.Share(200, 2.0)]})
    assert compared["other"] == pytest.approx((150.0, 2.0, 2.0, 2.0))
    compared = turns.compare({"one": one, "other": other})
    # One of the cycles alone has twice the rate, both together have a little less.
    assert compared["other"] == pytest.approx((140.0, 140 / 75, 140 / 75, 2.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--fail", "1000"), "bad: exit code 1\nno more"),
        (("--over", "1000"), "bad: its training is over, or it said 'steps_per_s"),
    ],
)
def test_one_that_fails_ends_all_and_is_named(monkeypatch, options, message):
    ended = []
    monkeypatch.setattr(turns, "two_cores", lambda: None)
    monkeypatch.setattr(turns, "kill", lambda pid: (ended.append(pid), runner.kill(pid)))
    entrants = [entrant("good"), entrant("bad", *options)]
    with pytest.raises(RuntimeError, match=message):
        turns.take_turns(entrants, cycles=100, seconds=0.01)
    assert len(set(ended)) == 2
    for pid in ended:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody"], "contestant 'nobody'; accepted are rejax-ppo, "),
        ([""], "contestant '' ("),
        (["rejax-ppo 'open"], "(No closing quotation); accepted is NAME OPTIONS"),
        (["command-cheetah"], "contestant 'command-cheetah'; accepted are"),
        (["rejax-ppo@/nowhere"], "it runs no surefoot"),
        (
            ["surefoot-trpo-gymnasium@/nowhere"],
            "folder '/nowhere'; accepted is a checkout of surefoot",
        ),
        (["rejax-ppo", "rejax-ppo"], "a contestant that is there twice"),
        (["rejax-ppo", "--seconds", "0"], "--cycles 40 --seconds 0; accepted are"),
        (["rejax-ppo", "--cycles", "1"], "--cycles 1 --seconds 2; accepted are"),
    ],
)
def test_mistakes_of_turns_are_one_line(arguments, message, capsys):
    assert main(["turns", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_contestant_that_cannot_run_is_named_with_exit_code_1(monkeypatch, capsys):
    def fail(entrants, *, cycles, seconds):
        raise RuntimeError("one: exit code 3")

    monkeypatch.setattr(turns, "take_turns", fail)
    assert main(["turns", "stepping-envpool-8"]) == 1
    assert capsys.readouterr().err == "failed: one: exit code 3\n"


def test_an_entrant_may_be_of_another_checkout_and_have_more_options():
    made = turns.Entrant.of(f"surefoot-trpo-gymnasium@{ROOT} --vary cg_steps=1")
    assert made.folder == ROOT
    assert made.command[-2:] == ("--vary", "cg_steps=1")
    assert "--num-envs" in made.command


@pytest.mark.parametrize(
    ("clock", "code", "again"),
    [
        (CLOCK, "a", False),
        (("--seconds", "9"), "a", True),
        (CLOCK, "b", True),
        (CLOCK, "a-dirty", True),
        (CLOCK, None, True),
    ],
)
def test_what_is_there_is_not_measured_again(tmp_path, monkeypatch, clock, code, again):
    measured = []

    def note(contestant, clock):
        measured.append(contestant.name)
        return measure(contestant, clock)

    monkeypatch.setattr(runner, "two_cores", lambda: None)
    for version in ("a", code):
        monkeypatch.setattr(runner, "code_version", lambda version=version: version)
        asked = CLOCK if version == "a" and not measured else clock
        runner.run([ONE], rounds=2, clock=asked, results=tmp_path, measure=note)
    assert len(measured) == (4 if again else 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one-0.json", "one-1.json"]


def test_rounds_take_turns_and_a_failure_does_not_end_them(tmp_path, monkeypatch, capsys):
    order = []

    def fail_once(contestant, clock):
        order.append(contestant.name)
        if len(order) == 1:
            raise RuntimeError("exit code 1")
        return measure(contestant, clock)

    monkeypatch.setattr(runner, "two_cores", lambda: None)
    code = runner.run([ONE, COMMAND], rounds=2, clock=CLOCK, results=tmp_path, measure=fail_once)
    assert code == 1
    assert order == ["one", "command", "one"]
    assert "one-0.json: failed: exit code 1" in capsys.readouterr().out


def test_a_damaged_row_is_measured_again_and_refused_by_the_table(tmp_path, capsys):
    path = runner.path_of(tmp_path, ONE, 0)
    for text in ("", "[1]", '{"name": "one"}'):
        path.write_text(text)
        assert not runner.is_done(path, ONE.settings(CLOCK), "a")
        assert main(["table", "--results", str(tmp_path)]) == 2
        assert "one-0.json is no row" in capsys.readouterr().err


def test_a_process_inherits_next_to_nothing_and_its_memory_is_told(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--nonsense")
    code = "import os; x = bytearray(80_000_000); print(sorted(os.environ))"
    text, seconds, peak_mb = runner._process([sys.executable, "-c", code])
    assert "XLA_FLAGS" not in text
    assert "TF_CPP_MIN_LOG_LEVEL" in text
    assert peak_mb > 80
    assert seconds > 0
    with pytest.raises(RuntimeError, match="exit code 3"):
        runner._process([sys.executable, "-c", "raise SystemExit(3)"])


def test_the_table_has_every_case_with_its_bar(tmp_path):
    case, limit = CASES[0], LIMITS[0]
    rates = {case.ours: 3000.0, case.stepping: 9000.0, **dict.fromkeys(case.theirs, 1000.0)}
    chosen = [x for x in CONTESTANTS if x.name in {*rates, limit.contestant}]
    for contestant in chosen:
        row = {
            "name": contestant.name,
            "round": 0,
            "settings": contestant.settings(CLOCK),
            "code": "0123456789",
            "seconds": 12.0,
            "peak_mb": 901.0,
            "busy_before": 0.01,
            "when": "2026-01-01T00:00:00+0000",
            "machine": {"processor": "P", "cores": 2, "system": "S"},
        }
        if contestant.name in rates:
            row["steps_per_s"] = rates[contestant.name]
        if contestant.name == case.ours:
            parts = {"environment": 0.1, "act": 0.05, "update": 0.02, "critic": 0.1, "total": 0.2}
            row["profile"] = parts
        runner.write(runner.path_of(tmp_path, contestant, 0), row)
    lines = table(load(tmp_path)).splitlines()
    (first,) = [x for x in lines if x.startswith(f"| {case.text} | 3,000 | {case.whose} ")]
    (other,) = [x for x in lines if x.startswith(f"| {case.text} | 3,000 | Tianshou ")]
    assert other.endswith("| – | – | – | – | 9,000 |")
    assert "| **3.00** | 2.2 | yes | 9,000 |" in first
    (missing,) = [line for line in lines if line.startswith(f"| {CASES[-1].text} ")]
    assert missing.endswith("| – | 1.5 | – | – |")
    assert f"| {limit.text} | **901 MB** | 900 MB | **no** |" in lines
    assert f"| `{case.ours}` | 200.0 | 100.0 | 50.0 | 20.0 | 30.0 | 100.0 | – |" in lines
    assert any("Commit 0123456; 2 cores of P" in line for line in lines)


def test_mistakes_are_one_line(tmp_path, capsys):
    assert main(["run", "--only", "nobody", "--results", str(tmp_path)]) == 2
    assert "--only nobody; accepted are" in capsys.readouterr().err
    assert main(["table", "--results", str(tmp_path)]) == 2
    assert "has no rows" in capsys.readouterr().err

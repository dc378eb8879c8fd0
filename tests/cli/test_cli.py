"""The command line: every mistake is one line and exit code 2; what works says where it put it."""

import contextlib
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import surefoot as sf
from support import runs
from support.suites import cases
from surefoot.cli.commands import messages
from surefoot.cli.main import main
from surefoot.methods.registry import RECIPES
from surefoot.reporting.data import read_run
from surefoot.runs import execute
from surefoot.runs.display.progress import LineDisplay
from surefoot.runs.recorder import Result
from surefoot.runs.score import Score

TINY = ["--num-envs=2", "--horizon=32", "--hidden=8", "--critic-minibatch-size=32"]


class Ran(NamedTuple):
    code: int
    out: str
    err: str


def run(*arguments, within=None):
    """The command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        contextlib.chdir(within or Path.cwd()),
    ):
        try:
            code = main(arguments)
        except SystemExit as exit_:
            code = exit_.code
    return Ran(code, out.getvalue(), err.getvalue())


def refused(*arguments):
    """The one line that a mistake is answered with."""
    ran = run(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("surefoot: ")
    assert ran.err.endswith("\n")
    assert ran.err.count("\n") == 1
    assert "Traceback" not in ran.err
    return ran.err


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Finished(NamedTuple):
    ran: Ran
    folder: Path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    place = tmp_path_factory.mktemp("trained")
    command = ["train", "trpo", "CartPole-v1", "--steps", "150", "--seed", "3", "--out", "run"]
    return Finished(run(*command, *TINY, within=place), place / "run")


TRPO = ["train", "trpo", "CartPole-v1"]
MISTAKES = {
    "command": (["trian"], "unknown command 'trian'; .* Did you mean 'train'"),
    "algorithm": (["train", "trop", "CartPole-v1"], "'trop'; .* Did you mean 'trpo'"),
    "family": (
        ["train", "ppo", "CartPole-v1"],
        r"'ppo'; .* Did you mean 'ppo_clip' or 'ppo_kl' or 'ppo_fixed_kl' or 'ppo_adaptive_lr' or "
        r"'ppo_lagrangian'\?",
    ),
    "algorithm missing": (["train", "--steps", "9"], "algorithm comes first and not --steps"),
    "environment": (["train", "trpo", "CartPol-v1"], "'CartPol-v1' .* Did you mean 'CartPole-v1'"),
    "environment missing": (["train", "trpo", "--seed", "1"], "missing argument ENV"),
    "option": ([*TRPO, "--max-lk", "0.1"], "unknown option --max-lk; .* Did you mean --max-kl"),
    "option of another": ([*TRPO, "--clip", "0.1"], "unknown option --clip;"),
    "underscores": ([*TRPO, "--max_lk=0.1"], "unknown option --max-lk; .* Did you mean --max-kl"),
    "flag": ([*TRPO, "--no-scale-reward"], "--no-scale-reward; .* Did you mean --no-scale-rewards"),
    "flag with a value": ([*TRPO, "--scale-rewards=no"], "--scale-rewards takes no value"),
    "no flag with a value": (
        [*TRPO, "--no-report=yes"],
        "--no-report takes no value and got 'yes'",
    ),
    "no number": ([*TRPO, "--max-kl", "small"], "--max-kl is 'small'; accepted is a number"),
    "no integer": ([*TRPO, "--steps", "1.5e0"], "--steps is '1.5e0'; accepted is an integer"),
    "none": ([*TRPO, "--out", "run", "--env"], "unknown option --env"),
    "optional": (["resume", "nowhere", "--steps", "None"], "--steps is 'None'; .* an integer"),
    "no integers": ([*TRPO, "--hidden", "64", "big"], "--hidden is 'big'; accepted is an integer"),
    "empty value": ([*TRPO, "--steps="], "--steps is ''; accepted is an integer"),
    "missing value": ([*TRPO, "--seed"], "--seed needs a value; accepted is an integer"),
    "value is an option": ([*TRPO, "--out", "--seed", "1"], "--out needs a value"),
    "steps 0": ([*TRPO, "--steps", "0"], "steps is 0; accepted is an integer >= 1"),
    "steps -1": ([*TRPO, "--steps", "-1"], "steps is -1; accepted is an integer >= 1"),
    "steps beyond integers": (
        [*TRPO, "--steps", "9" * 30],
        "steps is 9+; .* <= 1,152,921,504,606,846,976",
    ),
    "seed beyond integers": ([*TRPO, "--seed", "9" * 30], "seed is 9+; .* <= 4,294,967,295"),
    "steps too few": ([*TRPO, *TINY, "--steps", "63"], "at least one batch .* 32 × 2 = 64 steps"),
    "negative KL": ([*TRPO, "--max-kl", "-0.01"], "max_kl is -0.01; accepted is .* > 0"),
    "nan": ([*TRPO, "--max-kl", "nan"], "max_kl is nan; accepted is a finite number"),
    "infinite": ([*TRPO, "--damping", "inf"], "damping is inf; accepted is a finite number"),
    "minibatch": (
        [*TRPO, *TINY, "--critic-minibatch-size", "0"],
        "critic_minibatch_size is 0; accepted is an integer >= 1",
    ),
    "solver": (
        ["train", "npg", "CartPole-v1", "--solver", "cgs"],
        "--solver is 'cgs'; accepted is 'cg' or 'exact'. Did you mean 'cg'",
    ),
    "no data": (["train", "bc", "CartPole-v1"], "there is no data; .* pass --data"),
    "no such data": (
        ["train", "bc", "CartPole-v1", "--data", "nowhere.safetensors"],
        "nowhere.safetensors",
    ),
    "choice": ([*TRPO, "--backend", "devcie"], "--backend is 'devcie'; .* Did you mean 'device'"),
    "no device version": (
        ["train", "trpo", "Acrobot-v1", "--backend", "device"],
        "'Acrobot-v1' has no device version; accepted are CartPole-v1, Pendulum-v1",
    ),
    "argument too many": ([*TRPO, "Acrobot-v1"], "unexpected argument 'Acrobot-v1'"),
    "no agent": (["evaluate", "nowhere"], "nowhere is no saved agent: it has no manifest.json"),
    "no run": (["evaluate"], "missing argument RUN"),
    "no episodes": (["evaluate", "nowhere", "--episodes", "0"], "episodes is 0;"),
    "list what": (["list", "algorithm"], "'algorithm'; .* Did you mean 'algorithms'"),
    "doctor's option": (["doctor", "--all"], "unknown option --all"),
    "one dash": (["train", "trpo", "-x"], "unknown option -x; options begin with --"),
}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [pytest.param(*case, id=name) for name, case in MISTAKES.items()],
)
def test_a_mistake_is_one_line_and_leaves_no_folder(arguments, message, here):
    assert re.search(message, refused(*arguments))
    assert not list(here.iterdir())


def test_an_existing_folder_is_refused_and_kept(here):
    (here / "mine").mkdir()
    (here / "mine" / "notes.txt").write_text("kept")
    line = refused(*TRPO, *TINY, "--out", "mine")
    assert "mine exists; accepted is a new path" in line
    assert [path.name for path in here.rglob("*")] == ["mine", "notes.txt"]


def test_a_folder_below_a_file_is_refused(here):
    (here / "file").write_text("kept")
    assert "which is a file" in refused(*TRPO, *TINY, "--steps", "64", "--out", "file/run")


def test_a_corrupted_agent_is_refused(finished, here):
    broken = here / "broken"
    shutil.copytree(finished.folder / "agent", broken)
    arrays = broken / "arrays.safetensors"
    data = bytearray(arrays.read_bytes())
    data[-1] ^= 1
    arrays.write_bytes(data)
    assert "broken is no intact saved agent" in refused("evaluate", "broken")


def test_a_run_writes_its_folder_and_says_where_and_how_much_it_trained(finished):
    ran, folder = finished
    assert ran.code == 0, ran.err
    assert ran.err == ""
    assert "trpo on CartPole-v1: 128 steps (150 rounded down to whole batches of 64)" in ran.out
    assert "seed 3" in ran.out
    assert "run: run   (surefoot evaluate run)" in ran.out
    assert "compiled in" in ran.out
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock",
        "agent",
        "checkpoints",
        "config.json",
        "metrics.jsonl",
        "report.html",
    ]
    assert "report: run/report.html" in ran.out


def test_the_config_says_what_the_run_was(finished):
    config = json.loads((finished.folder / "config.json").read_text())
    assert config["algorithm"] == "trpo"
    assert config["environment"] == "CartPole-v1"
    assert config["steps"] == 128
    assert config["hyperparameters"]["num_envs"] == 2
    assert config["hyperparameters"]["critic_minibatch_size"] == 32
    assert config["hyperparameters"]["max_kl"] == 0.01
    assert config["setup"]["seed"] == 3
    assert config["setup"]["hidden"] == [8]
    assert config["versions"]["surefoot"] == sf.__version__
    assert {"jax", "jaxlib", "gymnasium", "numpy", "python"} <= config["versions"].keys()
    assert "command" in config


def test_the_metrics_hold_a_row_an_iteration(finished):
    rows = runs.rows(finished.folder)
    assert [row["steps"] for row in rows] == [64, 128]


def test_the_means_on_the_screen_are_those_of_the_metrics(finished):
    rows = runs.rows(finished.folder)
    # The last tenth of two iterations is the second.
    returns = rows[-1]["episode_returns"]
    mean = sum(returns) / len(returns)
    assert f"return {mean:.1f} · " in finished.ran.out
    assert f"return {mean:.1f} ({read_run.read(finished.folder).score.words})" in finished.ran.out


def test_the_score_is_on_the_screen(capsys):
    of_run = Score(7.0, 90, 100, "episode", recent=True)
    ended = Result(None, returns=[0.0] * 50 + [7.0] * 100, score=of_run, steps=150, skipped=0)
    messages.print_results(messages.make_console(), None, [ended])
    assert capsys.readouterr().out == f"return 7.0 ({of_run.words})\n"
    other = ended._replace(score=of_run._replace(value=9.0))
    messages.print_results(messages.make_console(), None, [ended, other])
    assert "return 8.0, from 7.0 to 9.0 over the seeds" in capsys.readouterr().out


def test_the_run_can_be_evaluated(finished):
    command = ["evaluate", str(finished.folder), "--episodes", "3", "--seed", "5"]
    first, again = run(*command), run(*command)
    assert first.code == 0, first.err
    assert first == again
    result = sf.load(finished.folder).evaluate(3, 5)
    assert f"3 episodes: return {result.mean:.1f} ± {result.std:.1f}" in first.out
    sampled = run(*command, "--stochastic")
    assert sampled.code == 0
    assert sampled.out != first.out


@pytest.mark.filterwarnings("ignore:.*out of date:DeprecationWarning")
def test_the_agent_plays_on_another_environment_when_asked(finished):
    ran = run("evaluate", str(finished.folder), "--episodes", "2", "--env", "CartPole-v0")
    assert ran.code == 0, ran.err
    line = refused("evaluate", str(finished.folder), "--env", "CartPol-v1")
    assert "Did you mean 'CartPole-v1'" in line


OWN = """
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

class Short(gymnasium.wrappers.TimeLimit):
    def __init__(self):
        super().__init__(CartPoleEnv(), 9)

gymnasium.register("ShortPole-v7", Short)
"""


def test_an_environment_in_jax_of_ones_own_is_named_likewise(here):
    (here / "own_slide.py").write_text(
        "import jax.numpy as jnp\nimport surefoot as sf\n"
        "from surefoot.envs.device.classic import DEVICE_ENVS\n"
        "pole = sf.DeviceEnv(DEVICE_ENVS['CartPole-v1'].env, time_limit=9)\n"
    )
    command = ["train", "reinforce", "own_slide:pole", *TINY[:3], "--steps", "128"]
    ran = run(*command, "--seeds", "2", "--no-baseline", "--no-report", "--out", "both")
    assert ran.code == 0, ran.err
    assert all(
        set(row["episode_lengths"]) == {9}
        for seed in (0, 1)
        for row in runs.rows(here / "both" / f"seed-{seed}")
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["own_bad:nothing"], "made a NoneType; accepted is a gymnasium.Env: 'surefoot check-env'"),
        (["own_bad:nothing", "--backend", "device"], "environment nothing has no device version"),
        (["own_bad:Bad-v0", "--backend", "device"], "environment 'Bad-v0' has no device version"),
        (["own_bad:nothing", "--backend", "envpool"], "environment nothing with backend 'envpool'"),
        (["own_ends:Any"], r"'own_ends' cannot be imported \(SystemExit: 3\)"),
        (["own_bad:a:b"], "'own_bad:a:b' names nothing that can be called"),
    ],
)
def test_what_a_module_does_not_have_is_one_line(arguments, message, here):
    (here / "own_bad.py").write_text(
        "import gymnasium\ndef nothing(): return None\n"
        "gymnasium.register('Bad-v0', 'gymnasium.envs.classic_control:CartPoleEnv')\n"
    )
    (here / "own_ends.py").write_text("raise SystemExit(3)\n")
    assert re.search(message, refused("train", "trpo", *arguments, *TINY, "--steps", "128"))
    assert {path.name for path in here.iterdir()} <= {"own_bad.py", "own_ends.py", "__pycache__"}


@pytest.mark.parametrize("name", ["Short", "ShortPole-v7"])
def test_what_a_module_has_is_trained_on_wherever_an_id_is(name, here, monkeypatch):
    module = f"own_{name[5:8].lower()}"
    (here / f"{module}.py").write_text(OWN.replace("ShortPole-v7", name if "-" in name else "X-v0"))
    own = f"{module}:{name}"
    ran = run("train", "trpo", own, *TINY, "--steps", "128", "--no-report", "--out", "run")
    assert ran.code == 0, ran.err
    assert f"(surefoot evaluate run --env {own})" in ran.out
    (row, last) = runs.rows(here / "run")
    assert set(row["episode_lengths"]) == {9}
    # A file never says what is to be imported.
    config = json.loads((here / "run" / "config.json").read_text())
    assert config["environment_id"] is None
    assert "which is no Gymnasium id: pass --env MODULE:NAME" in refused("resume", "run")
    assert re.search(
        r"this agent was trained on \S+[, ].*: pass --env ID or MODULE:NAME",
        refused("evaluate", "run"),
    )
    with pytest.raises(sf.UsageError, match="is MODULE:NAME, which the command line takes"):
        sf.train("trpo", own, steps=128)
    other = refused("resume", "run", "--env", "Acrobot-v1", "--steps", "192")
    assert re.search(r"run was trained on \S+ and not on Acrobot-v1", other)
    again = run("resume", "run", "--env", own, "--steps", "192", "--no-report")
    assert again.code == 0, again.err
    assert runs.rows(here / "run")[1]["kl_mean"] == last["kl_mean"]
    assert len(runs.rows(here / "run")) == 3
    played = run("evaluate", "run", "--env", own, "--episodes", "2")
    assert played.code == 0, played.err
    assert "length 9.0" in played.out
    looked = run("inspect", "run", "--env", own)
    assert looked.code == 0, looked.err
    recorded = run("record", "run", "--env", own, "--episodes", "2")
    assert "18 transitions" in recorded.out
    before = set(here.iterdir())
    line = refused("train", "trpo", f"{module}:Shrt", *TINY, "--steps", "128")
    assert "names nothing that can be called" in line
    assert "Did you mean 'Short'" in line
    assert set(here.iterdir()) == before


def test_a_folder_that_holds_runs_names_one(finished):
    line = refused("resume", str(finished.folder.parent))
    assert line.endswith(f"it holds {finished.folder}\n")


@pytest.mark.parametrize("command", ["evaluate", "record", "export"])
def test_a_folder_of_runs_names_those_inside(tmp_path, here, command):
    for name in ("a", "b", "c2", "c10", "d", "e", "f"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.json").write_text("{}")
    words = ["--format", "onnx"] if command == "export" else []
    line = refused(command, str(tmp_path / "runs"), *words)
    inside = ", ".join(str(tmp_path / "runs" / name) for name in ("a", "b", "c2", "c10", "d"))
    assert line.endswith(f"pass one of its runs; it holds {inside} and 2 more\n")


def test_list_alone_lists_everything():
    alone, algorithms, envs = run("list"), run("list", "algorithms"), run("list", "envs")
    assert alone.code == 0
    assert alone.out == f"{algorithms.out}\n{envs.out}"
    assert run("list", "everything") == alone


def test_a_complete_run_says_so_and_how_it_is_made_longer(finished, here, monkeypatch):
    shutil.copytree(finished.folder, "run")
    ran = run("resume", "run", "--no-report")
    assert ran.code == 0, ran.err
    assert "trpo on CartPole-v1 is complete, 128 of 128 steps; --steps 192 or more" in ran.out
    line = refused("resume", "run", "--steps", "160")
    assert "steps is 160; accepted is 192 or more, the whole run's: run has done 128 of 150" in line
    taken = []
    monkeypatch.setattr(LineDisplay, "resumed", lambda _, scoring: taken.append(scoring.score))
    longer = run("resume", "run", "--steps", "192", "--no-report")
    assert longer.code == 0, longer.err
    # What is said of it goes on from where it was.
    assert taken == [read_run.read(finished.folder).score]
    assert f"return {read_run.read(here / 'run').score.value:.1f} (" in longer.out


def test_a_sink_that_is_not_installed_is_told_before_anything(here, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorboardX" else find(name)
    )
    line = refused(*TRPO, *TINY, "--log", "tensorboard", "--out", "run")
    assert "pip install 'surefoot[tensorboard]'" in line
    assert not list(here.iterdir())


def test_a_run_without_finished_episodes_says_so_and_names_its_own_folder(here):
    ran = run(
        *["train", "reinforce", "Pendulum-v1", "--num-envs", "1", "--horizon", "64"],
        *["--steps", "64", "--hidden", "4", "--no-baseline"],
    )
    assert ran.code == 0, ran.err
    assert "no finished episode yet" in ran.out
    assert "no episode finished: raise --steps or --horizon" in ran.out
    assert "rounded" not in ran.out
    (folder,) = (here / "runs").iterdir()
    assert folder.name.startswith("reinforce-Pendulum-v1-0-")
    assert f"run: runs/{folder.name}" in ran.out
    (row,) = runs.rows(folder)
    assert row["learned_rows"] == 0
    assert row["kl_mean"] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["-h"],
        ["--version"],
        ["train"],
        ["train", "--help"],
        ["train", "trpo", "--help"],
        ["train", "ppo_clip", "CartPole-v1", "-h"],
        ["evaluate", "--help"],
        ["list", "--help"],
        ["doctor", "--help"],
    ],
    ids=" ".join,
)
def test_help_is_no_mistake(arguments, here):
    ran = run(*arguments)
    assert ran.code == 0
    assert ran.err == ""
    assert "surefoot" in ran.out
    assert not list(here.iterdir())


def test_an_algorithms_help_lists_its_options_and_the_setups():
    out = run("train", "trpo", "--help").out
    for option in ("--max-kl", "--cg-steps", "--num-envs", "--steps", "--no-scale-rewards"):
        assert option in out
    assert "--clip " not in out
    assert "--out PATH" in out
    assert "None}" not in out


def test_every_recipe_is_listed():
    out = run("list", "algorithms").out
    for name, recipe in RECIPES.items():
        assert name in out
        assert recipe.parts.objective in out


def test_the_environments_are_listed_with_those_that_run_on_the_device():
    lines = run("list", "envs").out.splitlines()
    assert "CartPole-v1   (also --backend device)" in lines
    assert "HalfCheetah-v5" in lines
    assert len(lines) == len(set(lines))


def test_the_doctor_finds_this_build_sound():
    ran = run("doctor")
    assert ran.code == 0
    assert "sound" in ran.out
    assert "jaxlib" in ran.out


@pytest.mark.parametrize("error", [1e-3, float("inf"), float("nan")])
def test_the_doctor_reports_a_build_that_computes_wrongly(error, monkeypatch):
    from surefoot.cli.commands import doctor

    monkeypatch.setattr(doctor, "canary", lambda: error)
    ran = run("doctor")
    assert ran.code == 1
    assert "miscomputes" in ran.err


def raising(error):
    def execute(*args, **options):
        raise error

    return execute


def test_an_interrupt_is_one_line(here, monkeypatch):
    monkeypatch.setattr(execute, "execute", raising(KeyboardInterrupt()))
    ran = run(*TRPO, *TINY, "--steps", "64")
    assert ran.code == 130
    assert ran.err == "surefoot: interrupted\n"


def test_a_defect_keeps_its_traceback(here, monkeypatch):
    monkeypatch.setattr(execute, "execute", raising(ZeroDivisionError("a defect")))
    with pytest.raises(ZeroDivisionError, match="a defect"):
        main([*TRPO, *TINY, "--steps", "64"])


LIGHT = """
import contextlib, io, sys
{code}
print(sorted({{"jax", "equinox", "optax", "gymnasium"}} & sys.modules.keys()))
"""


@pytest.mark.parametrize(
    "code",
    [
        "import surefoot, surefoot.cli.main, surefoot.cli.arguments\n"
        "import surefoot.common.settings, surefoot.methods.recipes",
        "from surefoot.cli.main import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    main(['train', 'trpo', '--help'])",
        "from surefoot.cli.main import main\n"
        "with contextlib.redirect_stderr(io.StringIO()):\n"
        "    assert main(['train', 'trpo', 'CartPole-v1', '--max-kl', '-1']) == 2",
    ],
    ids=["import", "help", "mistake"],
)
def test_nothing_heavy_is_imported_before_something_is_computed(code):
    command = [sys.executable, "-c", LIGHT.format(code=code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "method",
    [
        ["reinforce", *TINY[:3], "--no-baseline"],
        pytest.param(["trpo", *TINY], marks=pytest.mark.slow),
    ],
    ids=lambda method: method[0],
)
def test_seeds_at_once_leave_a_run_each(method, here):
    options = ["--backend=device", "--steps=128", "--out=both", "--seed=7", "--seeds=2"]
    ran = run("train", method[0], "CartPole-v1", *method[1:], *options)
    assert ran.code == 0, ran.err
    assert "seeds 7 to 8 at once" in ran.out
    assert "over the seeds" in ran.out
    assert sorted(path.name for path in Path("both").iterdir()) == [
        *["report.html", "seed-7", "seed-8"]
    ]
    for seed in (7, 8):
        config = json.loads(Path(f"both/seed-{seed}/config.json").read_text())
        assert config["setup"]["seed"] == seed
        assert run("evaluate", f"both/seed-{seed}", "--episodes=1").code == 0
    assert "2 seeds at once on the backend 'host'" in refused(
        "train", "trpo", "CartPole-v1", *TINY, "--seeds=2"
    )
    assert "seeds is 0" in refused("train", "trpo", "CartPole-v1", "--seeds=0")


ENDLESS = """
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

class Forever(CartPoleEnv):
    def step(self, action):
        observation, reward, *rest = super().step(action)
        return self.reset()[0], reward, False, False, {}
"""


@pytest.mark.filterwarnings("default")
def test_episodes_that_never_end_are_one_line(finished, here):
    (here / "forever.py").write_text(ENDLESS)
    options = [str(finished.folder), "--env", "forever:Forever", "--episodes", "2"]
    options += ["--max-episode-steps", "20"]
    line = "surefoot: 2 of 2 episodes had not ended after 20 steps and were cut there: "
    for command in ("evaluate", "record", "export"):
        out = {"record": ["--out", "a.safetensors"], "export": ["--out", "p.onnx"]}
        ran = run(command, *options, *out.get(command, []))
        assert ran.code == 0
        assert ran.err.startswith(line)
        assert ran.err.count("\n") == 1
    assert "2 of them cut after 20 steps" in (here / "card.md").read_text()


WAYS = {
    "list algorithms": "",
    "list envs": "",
    "train trpo --help": "",
    "check-env CartPole-v1": "",
    "watch RUN": "",
    "evaluate RUN --episodes 2": "",
    "export RUN --episodes 1 --out NEW/policy.onnx": "NEW/policy.onnx",
    "record RUN --episodes 1 --out NEW/steps.safetensors": "NEW/steps.safetensors",
    "report RUN --out NEW/report.html": "NEW/report.html",
    "train trpo CartPole-v1 --steps 128 --out NEW/run": "NEW/run/agent/manifest.json",
}


def printed_to(stream, way, finished, new):
    """A command that prints to this stream, and whether what it is to leave is there."""
    new.mkdir(exist_ok=True)
    places = {"RUN": str(finished.folder), "NEW": str(new)}
    words = way.split()
    for name, place in places.items():
        words = [word.replace(name, place) for word in words]
    if words[:2] == ["train", "trpo"] and "--help" not in words:
        words += [*TINY, "--no-report"]
    err = io.StringIO()
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as exit_:
            code = exit_.code
    left = WAYS[way].replace("NEW", str(new))
    assert not left or Path(left).is_file()
    return code, err.getvalue()


@pytest.mark.parametrize("way", WAYS)
def test_no_encoding_ends_a_command(way, finished, tmp_path):
    for encoding in ("ascii", "latin-1", "cp437"):
        written = io.BytesIO()
        stream = io.TextIOWrapper(written, encoding=encoding)
        assert printed_to(stream, way, finished, tmp_path / encoding) == (0, "")
        stream.flush()
        assert written.getvalue()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
@pytest.mark.parametrize("way", cases(WAYS, fast=[*WAYS][-2:] + [*WAYS][:2]))
def test_a_full_disk_behind_the_output_is_one_line_and_takes_nothing_away(way, finished, tmp_path):
    with open("/dev/full", "w") as stream:
        code, told = printed_to(stream, way, finished, tmp_path / "new")
    if "--help" in way:
        return
    assert code == (0 if WAYS[way] else 1)
    assert told.startswith("surefoot: standard output cannot be written: No space left on device")
    assert told.count("\n") == 1
    assert ("did its work" in told) == bool(WAYS[way])


@pytest.mark.parametrize("way", cases(WAYS, fast=[*WAYS][-2:] + [*WAYS][:2]))
def test_a_closed_pipe_is_told_where_files_were_written(way, finished, tmp_path):
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as stream:
        code, told = printed_to(stream, way, finished, tmp_path / "new")
    if "--help" in way:
        return
    assert code == (0 if WAYS[way] else 128 + signal.SIGPIPE)
    assert ("Broken pipe; 'surefoot" in told) == bool(WAYS[way])
    assert told.count("\n") == bool(WAYS[way])


def test_a_closed_output_is_no_failure_of_training(finished, tmp_path):
    stream = io.StringIO()
    stream.close()
    code, told = printed_to(stream, [*WAYS][-1], finished, tmp_path)
    assert code == 0
    assert "Bad file descriptor; 'surefoot train' did its work" in told


def unread(*arguments):
    """Exit code of a command whose output nobody reads, and what it says of it."""
    with subprocess.Popen(
        [sys.executable, "-m", "surefoot.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        program.stdout.close()
        told = program.stderr.read()
    return program.returncode, told


def test_a_run_goes_on_where_nobody_reads_its_progress(here):
    code, told = unread(*TRPO, *TINY, "--steps=640", "--out=run", "--no-report")
    assert code == 0
    assert told.count("\n") == 1
    assert "Broken pipe; 'surefoot train' did its work" in told
    assert [row["steps"] for row in runs.rows(here / "run")] == list(range(64, 641, 64))
    assert (here / "run" / "agent" / "manifest.json").is_file()


def test_output_that_nobody_reads_ends_a_command_quietly():
    assert unread("list", "envs") == (128 + signal.SIGPIPE, "")

"""Wrong command lines: each is one line and exit code 2, and nothing is written. And integers that
are written as powers of ten."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.cli.arguments import parse
from surefoot.cli.main import main
from surefoot.common.errors import UsageError
from surefoot.common.fields import at_least

TRPO = ["train", "trpo", "CartPole-v1"]
PPO = ["train", "ppo_clip", "CartPole-v1"]
NONE = "nowhere"
#: Commands on a run's folder.
OF_RUNS = ["resume", "evaluate", "record", "export", "inspect", "report", "watch"]

FOREIGN = {
    "--total-timesteps": "It is called --steps here",
    "--gamma": "It is called --discount here",
    "--n-steps": "It is called --horizon here",
    "--n_envs": "It is called --num-envs here",
    "--ent-coef": "It is called --entropy-coefficient here",
    "--vf-coef": "policy and critic share no parameters",
    "--clip-range": "It is called --clip here",
    "--target-kl": "ppo_kl and trpo keep to a KL",
    "--batch-size": "It is called --minibatch-size and --critic-minibatch-size here",
    "--n-epochs": "It is called --epochs and --critic-epochs here",
    "--num-timesteps": "It is called --steps here",
    "--unroll-length": "It is called --horizon here",
    "--entropy-cost": "It is called --entropy-coefficient here",
    "--discounting": "It is called --discount here",
    "--num-minibatches": "minibatch_size counts their rows",
    "--lr": "It is called --learning-rate and --critic-learning-rate here",
    "--verbose": "progress=False shows no progress",
    "--buffer-size": "there is no replay buffer",
    "--logdir": "It is called --out here",
    "--exp-name": "--out, or out=, is the run's folder",
}
ALGORITHMS = {
    "sac": "off-policy",
    "td3": "off-policy",
    "dqn": "off-policy",
    "ddpg": "off-policy",
    "PPO2": "The nearest here is 'ppo_clip'",
    "a3c": "The nearest here is 'a2c'",
    "dreamerv3": "learns a model",
    "TRPO": "Did you mean 'trpo'",
    "": "unknown algorithm ''",
}
INTEGERS = ["1e6.5", "1.5", "1e-3", "ten", "", "1e99", "nan", "inf", "0x10", "1e1e1", "--"]
STEPS = {"--steps": "0", "--num-envs": "-1", "--horizon": "0", "--cg-steps": "0", "--seed": "-1"}
NUMBERS = {"--max-kl": "-1", "--discount": "2", "--gae-lambda": "nan", "--damping": "inf"}

CASES: dict[str, tuple[list[str], str]] = {
    **{f"foreign {name}": ([*PPO, name, "1"], says) for name, says in FOREIGN.items()},
    **{f"algorithm {x!r}": (["train", x, "CartPole-v1"], says) for x, says in ALGORITHMS.items()},
    **{f"integer {x!r}": ([*TRPO, f"--steps={x}"], "accepted is an integer") for x in INTEGERS},
    **{f"{k} {v}": ([*TRPO, k, v], "accepted is an integer >=") for k, v in STEPS.items()},
    **{f"{k} {v}": ([*TRPO, k, v], "accepted is a") for k, v in NUMBERS.items()},
    **{f"{name} nothing": ([name], "missing argument RUN") for name in OF_RUNS},
    **{f"{name} nowhere": ([name, NONE], NONE) for name in OF_RUNS},
    **{
        f"{name} unknown": ([name, NONE, "--nosuch=1"], "unknown option --nosuch")
        for name in OF_RUNS
    },
    **{f"{name} two": ([name, NONE, "b"], "unexpected argument 'b'") for name in OF_RUNS[:5]},
    **{f"{name} empty": ([name, ""], "accepted|no run|holds none") for name in OF_RUNS[:6]},
    **{f"{name} long": ([name, "x" * 300], "xxx") for name in OF_RUNS},
    "swapped": (["train", "CartPole-v1", "trpo"], "surefoot train trpo CartPole-v1"),
    "no environment": (["train", "trpo"], "missing argument ENV"),
    "a file": (["train", "trpo", "walk.py:Walk"], "accepted is MODULE:NAME, here walk:Walk"),
    "a file in a folder": (["train", "trpo", "envs/walk.py:Walk"], "here envs.walk:Walk"),
    "a file alone": (["train", "trpo", "walk.py"], "'walk.py'"),
    "no module": (["train", "trpo", "nosuch_module:Walk"], "cannot be imported"),
    "no name": (["train", "trpo", "math:Walk"], "names nothing that can be called"),
    "empty environment": (["train", "trpo", ""], "environment ''"),
    "check a file": (["check-env", "walk.py:Walk"], "here walk:Walk"),
    "check nothing": (["check-env"], "missing argument ENV"),
    "list what": (["list", "runs"], "WHAT is 'runs'|what is 'runs'"),
    "doctor more": (["doctor", "now"], "unexpected argument 'now'"),
    "command": (["trian"], "Did you mean 'train'"),
    "command in capitals": (["TRAIN"], "Did you mean 'train'"),
    "episodes": (["evaluate", NONE, "--episodes", "0"], "episodes is 0"),
    "fraction of episodes": (["evaluate", NONE, "--episodes", "2.5"], "accepted is an integer"),
    "seed": (["evaluate", NONE, "--seed", "-1"], "seed is -1"),
    "foreign episodes": (["evaluate", NONE, "--n-eval-episodes", "3"], "unknown option"),
    "format": (["export", NONE, "--format", "pt"], "'onnx' or 'stablehlo'"),
    "iteration": (["inspect", NONE, "--iteration", "x"], "accepted is an integer"),
    "every": (["watch", NONE, "--every", "0"], "every is 0"),
    "no data": (["train", "bc", "CartPole-v1"], "there is no data"),
    "log": ([*TRPO, "--log", "cvs"], "Did you mean 'csv'"),
    "flag with a value": ([*TRPO, "--scale-rewards=no"], "takes no value"),
    "two values": ([*TRPO, "--seed", "1", "2"], "unexpected argument '2'"),
    "one dash": ([*TRPO, "-steps", "3"], "options begin with --"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_command_line_is_one_line_and_writes_nothing(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words, says = CASES[name]
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("surefoot: ")
    assert said.err.count("\n") == 1
    assert any(one in said.err for one in says.split("|")), said.err
    assert not list(tmp_path.iterdir())


def test_there_are_enough_of_them():
    assert len(CASES) >= 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Every kind of field that takes integers."""

    steps: int = at_least(1, 5)
    """One."""
    limit: int | None = None
    """One or none."""
    hidden: tuple[int, ...] = (64, 64)
    """Several."""


def read(*words):
    return parse(Options, words, prog="surefoot test", positionals=[])


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 999), st.integers(0, 6), st.sampled_from(["e", "E", "e+"]))
def test_a_whole_number_may_be_written_with_an_exponent(digits, exponent, spelled):
    text = f"{digits}{spelled}{exponent}"
    value = digits * 10**exponent
    options = read("--steps", text, f"--limit={text}", "--hidden", text, "7", text)
    assert options == Options(steps=value, limit=value, hidden=(value, 7, value))
    assert all(type(x) is int for x in (options.steps, options.limit, *options.hidden))
    moved = f"{digits}.0{spelled}{exponent}"
    assert read("--steps", moved).steps == value


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    st.integers(-3, 10**20), st.sampled_from(["e-1", "e-30", ".5", "e40", "e", "f", "e999999999"])
)
def test_what_is_not_whole_is_one_line(digits, rest):
    text = f"{digits}{rest}"
    if digits == 0 or (rest == "e-1" and digits % 10 == 0):
        return
    with pytest.raises(UsageError, match="accepted is an integer") as raised:
        read(f"--steps={text}")
    assert "\n" not in str(raised.value)

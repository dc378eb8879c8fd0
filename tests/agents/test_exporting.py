"""Exported policies: their files act as `predict` does, and their cards say what is so."""

import contextlib
import importlib.util
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest
import yaml
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

import surefoot as sf
from support import runs
from surefoot.agents.export.card.card import card
from surefoot.agents.export.card.markdown import block, code, quoted
from surefoot.agents.export.formats.onnx_graph import to_onnx
from surefoot.agents.export.formats.ports import ports
from surefoot.agents.export.formats.stablehlo import to_stablehlo
from surefoot.agents.export.write import FORMATS
from surefoot.agents.playing.policy_spec import PolicySpec
from surefoot.cli.main import main
from surefoot.common.files.atomic import beside
from surefoot.common.statistics import t_interval
from surefoot.core.data.count import Count
from surefoot.core.networks import MLP, mlp_policy
from surefoot.core.networks.architecture import Architecture
from surefoot.runs.export import origin_of
from surefoot.runs.options import prepare

ROWS = 1000
OBSERVATIONS = {
    "box": spaces.Box(-5.0, 5.0, (3,)),
    "box, scalar": spaces.Box(-5.0, 5.0, ()),
    "box, float64": spaces.Box(-5.0, 5.0, (2, 2), np.float64),
    "box, pixels": spaces.Box(0, 255, (2, 2, 3), np.uint8),
    "box, integers": spaces.Box(-7, 7, (3,), np.int64),
    "discrete": spaces.Discrete(5, start=-2),
    "multi-discrete": spaces.MultiDiscrete([[2, 3], [4, 2]], start=[[1, 1], [0, -1]]),
    "multi-binary": spaces.MultiBinary((2, 2)),
    "dict": spaces.Dict(
        {
            "x": spaces.Box(-5.0, 5.0, (2, 2), np.float64),
            "k": spaces.Discrete(3, start=1),
            "deep": spaces.Dict({"flags": spaces.MultiBinary(2), "x": spaces.Box(-1.0, 1.0)}),
        }
    ),
    "tuple": spaces.Tuple([spaces.MultiDiscrete([2, 3]), spaces.Discrete(4)]),
}
BOUNDS = np.array([[0.0, -np.inf, -1.0, 3.0], [10.0, 2.0, np.inf, 3.0]], np.float32)
ACTIONS = {
    "box": spaces.Box(*BOUNDS),
    "box, float64": spaces.Box(0.1, 0.7, (2, 2), np.float64),
    "box, scalar": spaces.Box(-2.0, 2.0, ()),
    "discrete": spaces.Discrete(3, start=5),
    "multi-discrete": spaces.MultiDiscrete([[2, 3], [4, 2]], start=[[1, 1], [0, -1]]),
    "multi-binary": spaces.MultiBinary((2, 2)),
}
PLAIN = {"action_map": "affine", "normalize_observations": True, "hidden": (8,), "std": False}
CASES = {
    **{f"observation {name}": (name, "box", PLAIN) for name in OBSERVATIONS},
    **{f"action {name}": ("box", name, PLAIN) for name in ACTIONS},
    "clip": ("box", "box", PLAIN | {"action_map": "clip"}),
    "not normalized": ("dict", "discrete", PLAIN | {"normalize_observations": False}),
    "no hidden layer": ("box", "box", PLAIN | {"hidden": ()}),
    "other widths": ("tuple", "multi-discrete", PLAIN | {"hidden": (32, 5, 16)}),
    "σ of the state": ("box", "box", PLAIN | {"std": True}),
}
#: A program takes a second to lower.
PROGRAMS = [
    "observation dict",
    "observation box, pixels",
    "action multi-discrete",
    "action discrete",
]


def make_agent(observation_space, action_space, options=PLAIN, **more):
    """An agent whose actions depend on the observation, and whose normalizer has seen things."""
    shape = PolicySpec(
        observation_space,
        action_space,
        Architecture(hidden=options["hidden"]),
        -0.5,
        options["std"],
        options["action_map"],
        options["normalize_observations"],
    )
    # Drawn with NumPy: nothing is compiled for it.
    rng = np.random.default_rng(0)

    def drawn(leaf):
        return jnp.asarray(0.4 * rng.normal(size=leaf.shape), leaf.dtype)

    blank = eqx.filter_eval_shape(lambda: (shape.policy(jax.random.key(0)), shape.normalizer()))
    policy, normalizer = jax.tree.map(drawn, blank)
    if options["normalize_observations"]:
        moments = normalizer.moments
        moments = moments._replace(seen=Count.of(30), var=0.1 + jnp.abs(moments.var))
        normalizer = eqx.tree_at(lambda n: n.moments, normalizer, moments)
    return sf.Agent(policy, normalizer, shape, **more)


def made(case):
    observation, action, options = CASES[case]
    return make_agent(OBSERVATIONS[observation], ACTIONS[action], options)


def observations(space, rows=ROWS):
    batch = batch_space(space, rows)
    batch.seed(3)
    return batch.sample()


def run_onnx(data, space, batch):
    session = onnxruntime.InferenceSession(data)
    taken = {}
    for port in ports(space):
        part = batch
        for key in port.path:
            part = part[key]
        taken[port.name] = part
    assert [i.name for i in session.get_inputs()] == list(taken)
    (action,) = session.run(["action"], taken)
    return action


def check_equal(action, agent, batch):
    wanted, _ = agent.predict(batch)
    assert action.shape == wanted.shape
    assert action.dtype == wanted.dtype == agent.action_space.dtype
    if action.dtype.kind == "f":
        np.testing.assert_allclose(action, wanted, rtol=0, atol=1e-5)
    else:
        np.testing.assert_array_equal(action, wanted)
    assert len(np.unique(action.reshape(len(action), -1), axis=0)) > 1


@pytest.mark.parametrize("case", CASES)
def test_onnx_runtime_acts_as_predict_does(case):
    agent = made(case)
    data = to_onnx(agent, origin_of(agent, None))
    batch = observations(agent.observation_space)
    check_equal(run_onnx(data, agent.observation_space, batch), agent, batch)


NUMBERS = {
    "uint8": "integers from 0 to 9",
    "int8": "integers from -3 to 9",
    "int32": "integers from -3 to 9",
    "int64": "integers from -3 to 9223372036854775807",
    "uint64": "integers from 0 to 18446744073709551615",
    "bool": "integers from 0 to 1",
    "float16": "numbers from -3 to 9",
    "float32": "numbers from -3 to inf",
    "float64": "numbers from -3 to 9",
}


@pytest.mark.parametrize("name", NUMBERS)
def test_boxes_of_every_type_are_exported_with_their_card(name, tmp_path):
    kind = np.dtype(name)
    low, high = (0 if kind.kind in "ub" else -3), (1 if kind.kind == "b" else 9)
    if name in ("int64", "uint64"):
        high = np.iinfo(kind).max
    elif name == "float32":
        high = np.inf
    space = spaces.Box(np.full((2, 2), low, kind), np.full((2, 2), high, kind), (2, 2), kind)
    agent = make_agent(space, ACTIONS["discrete"], provenance={"seed": np.int64(3)})
    # What the agent was given as NumPy's is written all the same.
    agent.save(tmp_path / "agent")
    assert sf.load(tmp_path / "agent").observation_space == space
    written = sf.export(agent, tmp_path / "policy.onnx", episodes=0)
    assert NUMBERS[name] in written.card.read_text(encoding="utf-8")


def test_a_part_may_be_called_as_the_graph_calls_its_own():
    space = spaces.Dict(
        [
            ("x", spaces.Discrete(3)),
            ("x.entry", spaces.Box(-1.0, 1.0)),
            ("x.choice", spaces.Box(-1.0, 1.0)),
        ]
    )
    agent = make_agent(space, ACTIONS["discrete"])
    batch = observations(space)
    check_equal(run_onnx(to_onnx(agent, origin_of(agent, None)), space, batch), agent, batch)


@pytest.mark.parametrize("case", PROGRAMS)
def test_a_program_in_jax_acts_as_predict_does(case):
    agent = made(case)
    policy = jax.export.deserialize(bytearray(to_stablehlo(agent, origin_of(agent, None))))
    for rows in (ROWS, 1):
        batch = observations(agent.observation_space, rows)
        with jax.enable_x64(True):
            action = np.asarray(policy.call(batch))
        if rows > 1:
            check_equal(action, agent, batch)
        else:
            assert action.shape == (1, *agent.action_space.shape)


@pytest.mark.parametrize("rows", [1, 7])
def test_a_batch_may_have_any_size(rows):
    agent = made("action multi-discrete")
    data = to_onnx(agent, origin_of(agent, None))
    batch = observations(agent.observation_space, rows)
    action = run_onnx(data, agent.observation_space, batch)
    np.testing.assert_array_equal(action, agent.predict(batch)[0])


def with_activation(activation):
    agent = made("action box")
    head = agent.policy.head
    policy = mlp_policy(jax.random.key(0), 3, head, hidden=(8,), activation=activation)
    policy = eqx.tree_at(lambda p: p.network.weights[-1], policy, replace_fn=lambda w: 150 * w)
    return sf.Agent(policy, agent.normalizer, agent.spec)


@pytest.mark.parametrize("activation", [jax.nn.relu, jax.nn.sigmoid, jax.nn.softplus, jax.nn.elu])
def test_an_activation_has_its_operator(activation):
    agent = with_activation(activation)
    data = to_onnx(agent, origin_of(agent, None))
    batch = observations(agent.observation_space)
    check_equal(run_onnx(data, agent.observation_space, batch), agent, batch)


def test_hidden_layers_can_be_normalized():
    agent = with_activation(jnp.tanh)
    sizes = (3, 8, 8, agent.policy.head.size)
    network = MLP(jax.random.key(0), sizes, output_gain=3.0, layer_norm=True)
    policy = eqx.tree_at(lambda p: p.network, agent.policy, network)
    agent = sf.Agent(policy, agent.normalizer, agent.spec)
    data = to_onnx(agent, origin_of(agent, None))
    batch = observations(agent.observation_space)
    check_equal(run_onnx(data, agent.observation_space, batch), agent, batch)


def test_a_part_of_ones_own_has_no_graph(tmp_path):
    message = r"computes 'erf_inv', for which no ONNX operator.*--format stablehlo"
    with pytest.raises(sf.UsageError, match=message) as raised:
        sf.export(with_activation(jax.lax.erf_inv), tmp_path / "p.onnx")
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_names_that_would_be_one_are_refused():
    one = spaces.Box(-1.0, 1.0)
    space = spaces.Dict({"a.b": one, "a": spaces.Dict({"b": one})})
    with pytest.raises(sf.UsageError, match=r"named 'observation\.a\.b'"):
        ports(space)


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory):
    """The folder of a run, which exports are added to."""
    run = trained("reinforce", baseline=False, seed=2)
    return shutil.copytree(run, tmp_path_factory.mktemp("runs") / "run")


@pytest.mark.parametrize("recipe", ["cem", "bc"])
def test_recipes_without_a_gradient_of_returns_are_exported_too(recipe, run, tmp_path):
    options = {"num_envs": 4, "horizon": 50}
    if recipe == "bc":
        sf.demonstrations.save(sf.load(run).record(8), tmp_path / "data")
        options = {"data": tmp_path / "data"}
    # Training would compile for seconds and change numbers alone.
    started = prepare(recipe, "CartPole-v1", {"steps": 1000, "hidden": (8,), **options})
    batch = np.random.default_rng(0).normal(size=(ROWS, 4)).astype(np.float32)
    agent = started.agent()
    agent.normalizer = agent.normalizer.update(
        jnp.asarray(batch[:, None]), jnp.ones((ROWS, 1), bool)
    )
    started.close()
    data = to_onnx(agent, origin_of(agent, None))
    check_equal(run_onnx(data, agent.observation_space, batch), agent, batch)


def cli(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        number = main([str(a) for a in arguments])
    return number, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def exported(run):
    """What the command line said, by format."""
    return {kind: cli("export", run, "--format", kind) for kind in FORMATS}


def python_of(text):
    return re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)


def test_the_card_of_a_runs_best_agent_tells_of_the_run(run, tmp_path):
    # Not what other tests have exported there.
    ignore = shutil.ignore_patterns(*FORMATS)
    folder = shutil.copytree(run, tmp_path / "run", ignore=ignore)
    shutil.copytree(folder / "agent", folder / "best")
    number, _, err = cli("export", folder / "best", "--episodes", "0")
    assert (number, err) == (0, "")
    card = (folder / "best" / "onnx" / "card.md").read_text()
    assert "the last" in card
    assert "with sampled actions" in card
    whole = cli("export", folder, "--episodes", "0")[0]
    assert whole == 0
    same = (folder / "onnx" / "card.md").read_text()
    assert card.replace("best/", "") == same.replace("best/", "")


@pytest.mark.parametrize("kind", ["onnx", "stablehlo"])
def test_what_the_card_says_to_run_plays_the_evaluated_episode(kind, run, exported, monkeypatch):
    number, out, err = exported[kind]
    assert (number, err) == (0, "")
    assert "observation float32[batch, 4] → action int64[batch]" in out
    monkeypatch.chdir(run / kind)
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        exec(python_of(Path("card.md").read_text()), {})
    wanted = sf.load(run).evaluate(1, seed=1).mean
    assert text.getvalue() == f"return {wanted}\n"
    assert sorted(p.name for p in Path().iterdir()) == ["card.md", f"policy.{kind}"]


def test_the_card_alone_is_enough(run, exported):
    """In a process that has no surefoot."""
    program = "import sys; sys.modules['surefoot'] = None\n"
    program += python_of((run / "stablehlo" / "card.md").read_text())
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=run / "stablehlo",
        capture_output=True,
        text=True,
        env={"JAX_PLATFORMS": "cpu"},
    )
    assert ran.stderr == ""
    assert ran.stdout == f"return {sf.load(run).evaluate(1, seed=1).mean}\n"


def test_the_file_says_where_it_is_from(run, exported):
    model = onnx.load(run / "onnx" / "policy.onnx")
    assert {p.key: p.value for p in model.metadata_props} == {
        "task": "CartPole-v1",
        "recipe": "reinforce",
        "seed": "2",
        "steps": "640",
        "surefoot_version": sf.__version__,
        "exported_by_surefoot": sf.__version__,
    }
    assert model.producer_name == "surefoot"
    assert (model.ir_version, model.opset_import[0].version) == (7, 13)
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    assert batch.dim_param == "batch"


def test_the_card_tells_returns_with_their_interval(run, exported):
    text = (run / "onnx" / "card.md").read_text()
    head = yaml.safe_load(text.split("---\n")[1])
    result = sf.load(run).evaluate(20, seed=1)
    assert head["library_name"] == "surefoot"
    assert {"reinforcement-learning", "surefoot", "reinforce", "CartPole-v1"} <= set(head["tags"])
    (found,) = head["model-index"][0]["results"]
    assert found["dataset"]["type"] == "CartPole-v1"
    assert found["metrics"][0]["value"] == pytest.approx(result.mean, abs=1e-4)
    low, high = t_interval(result.returns)
    assert f"| 20 | {result.mean:.2f} | {low:.2f} to {high:.2f} |" in text
    rows = runs.rows(run)
    last = np.array([x for row in rows for x in row["episode_returns"]][-100:])
    assert f"the last {len(last)} episodes of training" in text
    assert f"| {len(last)} | {last.mean():.2f} |" in text
    assert "| `baseline` | `false` |" in text
    assert "640 environment steps" in text


def test_an_agent_that_knows_nothing_gets_a_card_that_says_so(tmp_path, monkeypatch):
    agent = made("observation dict")
    written = sf.export(agent, tmp_path / "new" / "p.onnx")
    assert written.evaluated == 0
    text = written.card.read_text()
    head = yaml.safe_load(text.split("---\n")[1])
    assert "model-index" not in head
    assert "no episode was played" in text
    assert "Nothing is known of its training." in text
    monkeypatch.chdir(tmp_path / "new")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(python_of(text), {})
    assert printed.getvalue().startswith("action ")


HOSTILE = "a`b``c|\n---\n# no heading\n```\n<script>é\x7f😀\"'\\"


def test_a_card_says_what_files_hold_and_nothing_else(tmp_path):
    provenance = {
        "algorithm": HOSTILE,
        "environment": HOSTILE,
        "hyperparameters": {HOSTILE: HOSTILE},
        "setup": 3,
        "versions": {"numpy": ["1"]},
        "steps": "many",
    }
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"command": ["/home/me/x.py", HOSTILE]}))
    (folder / "metrics.jsonl").write_text(
        '{"steps": 5, "episode_returns": [1, "nan"]}\n{"steps": 6, "epi'
    )
    agent = make_agent(OBSERVATIONS["box"], ACTIONS["box"], provenance=provenance)
    text = sf.export(agent, tmp_path / "p.onnx", run=folder).card.read_text()
    _, head, body = text.split("---\n", 2)
    assert yaml.safe_load(head)["tags"][-2:] == [HOSTILE, HOSTILE]
    fenced = re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", body)
    assert "no heading" in fenced
    assert not re.search(r"(?m)^(# no|```|---|<script)", fenced)
    assert "/home/me" not in text
    assert "5 environment steps" in text


def test_half_a_character_is_no_failure(tmp_path):
    half = "half \ud800"
    inner = {half: half, "surefoot": half}
    told = {"algorithm": half, "environment": half, "hyperparameters": inner, "versions": inner}
    agent = make_agent(OBSERVATIONS["box"], ACTIONS["box"], provenance=told)
    written = sf.export(agent, tmp_path / "p.onnx")
    assert "`half ?` on `half ?`" in written.card.read_text()
    facts = {p.key: p.value for p in onnx.load(written.policy).metadata_props}
    assert facts["task"] == facts["recipe"] == facts["surefoot_version"] == "half ?"
    with pytest.raises(sf.UsageError, match=r"'observation\.half \\ud800'"):
        ports(spaces.Dict({half: OBSERVATIONS["box"]}))


#: What a run's last row tells of is not what an older policy was trained with: steps, as the card
#: says them and as the file's metadata do, and the last of the episodes before.
TRAINED = {
    "checkpoint": (
        {"trained_steps": 250, "steps": 1000},
        ("250 of 1,000 planned environment steps.", {"steps": "250"}, 2),
    ),
    "extended": (
        {"trained_steps": 400, "steps": 300},
        ("with 400 environment steps.", {"steps": "400"}, 4),
    ),
    "best": (
        {"evaluated": {"steps": 300}, "steps": 1000},
        ("300 of 1,000 planned environment steps.", {"steps": "300"}, 3),
    ),
    "old": (
        {"steps": 1000},
        (
            "Its run tells of 400 of 1,000 planned environment steps; which of them it was "
            "trained with is not known.",
            {"planned_steps": "1000"},
            4,
        ),
    ),
}


@pytest.mark.parametrize("case", TRAINED)
def test_steps_are_the_policys_own(case, tmp_path):
    provenance, (told, facts, last) = TRAINED[case]
    rows = [{"steps": 100 * i, "episode_returns": [i] * 200} for i in (1, 2, 3, 4)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    agent = make_agent(OBSERVATIONS["box"], ACTIONS["box"], provenance=provenance)
    origin = origin_of(agent, tmp_path)
    assert origin.returns == [last] * 100
    assert {k: v for k, v in origin.facts().items() if "steps" in k} == facts
    text = card(agent, origin, file="p.onnx", kind="onnx", played=None, env_id=None)
    assert told in text
    assert ("maybe later than this policy" in text) == (case == "old")


def test_text_is_quoted_for_what_it_stands_in():
    assert code("a") == "`a`"
    assert code("a`b") == "``a`b``"
    assert code("`a``") == "``` `a`` ```"
    assert code("a|b\nc") == "`a\\|b c`"
    assert block("x\n```\ny", "sh") == "````sh\nx\n```\ny\n````"
    assert yaml.safe_load(quoted(HOSTILE)) == HOSTILE


def test_the_last_episodes_are_a_hundred(tmp_path):
    rows = [{"steps": i, "episode_returns": [i] * 30} for i in range(5)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    origin = origin_of(made("action box"), tmp_path)
    assert origin.returns == [1] * 10 + [2] * 30 + [3] * 30 + [4] * 30
    assert (origin.steps, origin.run_steps) == (None, 4)
    for row in ("{}", '{"steps": 1e999, "episode_returns": []}', "[" * 100_000):
        (tmp_path / "metrics.jsonl").write_text(f"{row}\n")
        with pytest.raises(sf.UsageError, match="no intact file of metrics"):
            origin_of(made("action box"), tmp_path)


MISTAKES = {
    "suffix": ("p.pt", {}, r"ends in '\.pt'; accepted for the format onnx is \.onnx"),
    "no suffix": ("p", {}, "ends in 'nothing'"),
    "another's": ("p.stablehlo", {}, "accepted for the format onnx is .onnx: pass format stable"),
    "format": ("p.onnx", {"format": "onx"}, "accepted are onnx, stablehlo.*mean 'onnx'"),
    "episodes": ("p.onnx", {"episodes": -1}, "episodes is -1"),
    "exists": ("there.onnx", {}, "exists; accepted is a new path for the policy"),
    "card exists": ("carded/p.onnx", {}, "exists; accepted is a new path for the policy's card"),
    "below a file": ("there.onnx/p.onnx", {}, "cannot be made|can be no file"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_line_and_leave_nothing(mistake, tmp_path):
    name, options, message = MISTAKES[mistake]
    (tmp_path / "there.onnx").write_text("x")
    (tmp_path / "carded").mkdir()
    (tmp_path / "carded" / "card.md").write_text("x")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(sf.UsageError, match=message) as raised:
        sf.export(made("action box"), tmp_path / name, **options)
    assert "\n" not in str(raised.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there.onnx").read_text() == "x"


@pytest.mark.parametrize(("kind", "needs"), [("onnx", "onnx"), ("stablehlo", "flatbuffers")])
def test_a_missing_package_is_named(kind, needs, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == needs else find(name, *rest),
    )
    with pytest.raises(sf.UsageError, match=rf"needs {needs}: pip install 'surefoot\[export\]'"):
        sf.export(made("action box"), tmp_path / f"p.{kind}", format=kind)


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(self, *_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(sf.UsageError, match="No space left on device"):
        sf.export(made("action box"), tmp_path / "p.onnx")
    assert list(tmp_path.iterdir()) == []


def fails_at(number, function):
    """That fails when it is called that many times."""
    calls = itertools.count(1)

    def call(*arguments, **options):
        if next(calls) == number:
            raise OSError(28, "No space left on device")
        return function(*arguments, **options)

    return call


#: fsync: of the policy, the card, and their folder.
FAILURES = {
    **{f"fsync {i}": (os, "fsync", i) for i in (1, 2, 3)},
    **{f"rename {i}": (Path, "rename", i) for i in (1, 2)},
}


@pytest.mark.parametrize("failure", FAILURES)
def test_the_policy_and_its_card_are_both_written_or_neither(failure, tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError(1, "Operation not permitted")

    where, name, number = FAILURES[failure]
    agent = made("action box")
    with monkeypatch.context() as patch:
        if name == "rename":
            patch.setattr(os, "link", no_links)
        patch.setattr(where, name, fails_at(number, getattr(where, name)))
        with pytest.raises(sf.UsageError, match=r"p\.onnx cannot be made: No space left"):
            sf.export(agent, tmp_path / "p.onnx")
        assert list(tmp_path.iterdir()) == []
        # The next one is not refused, without links neither.
        sf.export(agent, tmp_path / "p.onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["card.md", "p.onnx"]
    assert (tmp_path / "p.onnx").stat().st_nlink == 1
    assert (tmp_path / "p.onnx").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("links", [True, False])
def test_what_appears_meanwhile_is_kept(links, tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError(1, "Operation not permitted")

    def appear(*_, **__):
        (tmp_path / "card.md").write_text("mine")
        return "card"

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(sys.modules["surefoot.agents.export.write"], "card", appear)
    with pytest.raises(sf.UsageError, match=r"card\.md was made by another process"):
        sf.export(made("action box"), tmp_path / "p.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["card.md"]
    assert (tmp_path / "card.md").read_text() == "mine"
    with beside(tmp_path / "card.md", replace=True) as part:
        part.write_text("new")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["new"]


def test_the_cards_episodes_are_those_of_the_seed(run, tmp_path):
    agent, asked = sf.load(run), ["--episodes", "3", "--seed", "7"]
    number, _, err = cli("export", run, "--out", tmp_path / "policy.onnx", *asked)
    assert (number, err) == (0, "")
    head = yaml.safe_load((tmp_path / "card.md").read_text().split("---\n")[1])
    found = head["model-index"][0]["results"][0]["metrics"][0]["value"]
    assert found == pytest.approx(agent.evaluate(3, seed=7).mean, abs=1e-4)
    assert found != pytest.approx(agent.evaluate(3, seed=1).mean, abs=1e-4)


def test_the_command_line_refuses_what_is_there(run, exported):
    number, out, err = cli("export", run)
    assert (number, out) == (2, "")
    assert err.endswith("policy.onnx exists; accepted is a new path for the policy\n")
    number, _, err = cli("export", run, "--format", "torch")
    assert number == 2
    assert "accepted is 'onnx' or 'stablehlo'" in err

"""Exported policies of every form: images, memories, masks, mixed and bounded actions. Their files
answer as `predict` does, step for step, and the code of their cards plays what `evaluate` plays."""

import contextlib
import functools
import io
import operator
import re

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

import surefoot as sf
from benchmarks.policies.tasks import Cue, Doors, Dosage, Squares
from support.suites import cases
from surefoot.agents.export.card.masks_beside import masks_beside
from surefoot.agents.export.formats.onnx_graph import to_onnx
from surefoot.agents.export.formats.ports import interface, ports
from surefoot.agents.export.formats.stablehlo import to_stablehlo
from surefoot.agents.playing.policy_spec import PolicySpec
from surefoot.cli.main import main
from surefoot.core.data.count import Count
from surefoot.core.data.normalization import ObservationNormalizer
from surefoot.core.networks.architecture import Architecture
from surefoot.envs.host.atari import MakeAtari, Preprocessing
from surefoot.envs.spaces.masks import with_mask_space
from surefoot.runs.export import origin_of

#: Copies that are acted in at once, and steps of each: a thousand steps.
COPIES, STEPS = 50, 20


def make_agent(
    observation_space, action_space, network="auto", make=None, environment=None, **more
):
    """An agent that was not trained, and whose actions depend on what it sees."""
    own = {name: more.pop(name) for name in ("activation", "layer_norm") if name in more}
    spec = PolicySpec(
        observation_space,
        action_space,
        Architecture(network, (8,), make=make, **own),
        -0.5,
        more.pop("state_dependent_std", False),
        "affine",
        more.pop("normalize_observations", True),
        **more,
    )
    # Sixteen layers would make the least rounding large.
    gain = 0.8 if "impala" in network else 1.5
    rng = np.random.default_rng(0)

    def drawn(leaf):
        # Drawn with NumPy: nothing is compiled for it.
        scale = gain / np.sqrt(leaf.shape[0]) if leaf.ndim > 1 else 0.1
        return jnp.asarray(scale * rng.normal(size=leaf.shape), leaf.dtype)

    blank = eqx.filter_eval_shape(lambda: (spec.policy(jax.random.key(0)), spec.normalizer()))
    arrays, rest = eqx.partition(blank, lambda x: isinstance(x, jax.ShapeDtypeStruct))
    policy, normalizer = eqx.combine(jax.tree.map(drawn, arrays), rest)
    if isinstance(normalizer, ObservationNormalizer):
        moments = normalizer.moments
        moments = moments._replace(seen=Count.of(30), var=0.2 + jnp.abs(moments.var))
        normalizer = eqx.tree_at(lambda n: n.moments, normalizer, moments)
    return sf.Agent(policy, normalizer, spec, environment=environment)


class Played:
    """Copies of a task in JAX, each begun anew where it has ended."""

    def __init__(self, task):
        each = functools.partial(jax.random.split, num=COPIES)

        @jax.jit
        def begin(key):
            states = jax.vmap(task.initial)(each(key))
            return states, jax.vmap(task.observation)(states, each(key))

        @jax.jit
        def step(states, actions, key):
            after = jax.vmap(task.transition)(states, actions, each(key))
            ended = jax.vmap(task.terminal)(after, each(key))

            def chosen(new, old):
                return jnp.where(ended.reshape(-1, *(1,) * (old.ndim - 1)), new, old)

            states = jax.tree.map(chosen, jax.vmap(task.initial)(each(key)), after)
            return states, jax.vmap(task.observation)(states, each(key)), ended

        self._begin, self._step, self._key = begin, step, jax.random.key(0)

    def reset(self):
        self.time = 0
        self.states, observation = self._begin(self._key)
        return jax.tree.map(np.asarray, observation)

    def step(self, actions):
        self.time += 1
        key = jax.random.fold_in(self._key, self.time)
        self.states, observation, ended = self._step(self.states, actions, key)
        return jax.tree.map(np.asarray, observation), np.asarray(ended)


class Drawn:
    """Observations of a space at random, and episodes that end at random."""

    def __init__(self, space):
        self._batch = batch_space(space, COPIES)
        self._batch.seed(0)
        self._rng = np.random.default_rng(0)

    def reset(self):
        observation = self._batch.sample()
        if isinstance(observation, dict) and "action_mask" in observation:
            # At least one of two neighbors is valid, so that one of each choice is.
            observation["action_mask"][:, 1::2] |= 1 - observation["action_mask"][:, ::2]
        return observation

    def step(self, actions):
        return self.reset(), self._rng.random(COPIES) < 0.1


VECTOR = spaces.Box(-3.0, 3.0, (3,))
BOUNDED = spaces.Box(np.array([-3.0, 0.0]), np.array([7.0, 0.5]), (2,), np.float64)
SMALL = spaces.Box(0, 255, (3, 9, 10), np.uint8)
FLAGS = spaces.Box(np.zeros((10, 9, 4), bool), np.ones((10, 9, 4), bool), dtype=np.bool_)
PARTS = spaces.Dict(
    {
        "picture": SMALL,
        "kind": spaces.Discrete(3, start=1),
        "near": VECTOR,
        "deep": spaces.Tuple([VECTOR]),
    }
)
MIXED = spaces.Dict(
    [
        ("z", spaces.MultiDiscrete([2, 3], start=[1, -1])),
        ("a", spaces.Box(-1.0, 3.0, (2, 1))),
        ("deep", spaces.Tuple([spaces.Discrete(3, start=4), spaces.MultiBinary(2)])),
    ]
)
TASKS = {"cue": Cue(), "doors": Doors(), "cued doors": Doors(cued=True), "dosage": Dosage()}
CHOICES = spaces.Discrete(4)


def of_task(task, network="auto", **more):
    return make_agent(task.observation_space, task.action_space, network, **more)


def masked(action_space, size, seen=VECTOR):
    return make_agent(with_mask_space(seen, size), action_space)


AGENTS = {
    "cue": lambda: of_task(TASKS["cue"], "gru"),
    "cue, lstm": lambda: of_task(TASKS["cue"], "lstm"),
    "doors": lambda: of_task(TASKS["doors"]),
    "cued doors": lambda: of_task(TASKS["cued doors"], "gru"),
    "dosage": lambda: of_task(TASKS["dosage"]),
    "squares": lambda: of_task(Squares()),
    "squares, cnn+gru": lambda: of_task(Squares(), "cnn+gru"),
    "mixed": lambda: make_agent(VECTOR, MIXED, "lstm", action_distribution="tanh_gaussian"),
    "beta": lambda: make_agent(VECTOR, BOUNDED, action_distribution="beta"),
    "tanh-Gaussian": lambda: make_agent(VECTOR, BOUNDED, action_distribution="tanh_gaussian"),
    "tanh-Gaussian, σ of the state": lambda: make_agent(
        VECTOR, BOUNDED, action_distribution="tanh_gaussian", state_dependent_std=True
    ),
    "masked choices": lambda: masked(spaces.MultiDiscrete([2, 4]), 6),
    "masked coins": lambda: masked(spaces.MultiBinary(3), 6, seen=PARTS),
    "parts": lambda: make_agent(PARTS, CHOICES, "cnn+lstm"),
    "some parts": lambda: make_agent(PARTS, CHOICES, policy_keys=("kind", "deep")),
    "an image of parts": lambda: make_agent(PARTS, CHOICES, policy_keys=("picture",)),
    "not normalized": lambda: make_agent(PARTS, CHOICES, normalize_observations=False),
    "flags": lambda: make_agent(FLAGS, CHOICES),
    "impala": lambda: make_agent(SMALL, BOUNDED, "impala"),
    "large image": lambda: make_agent(spaces.Box(0, 255, (37, 40), np.uint8), BOUNDED),
    "floats": lambda: make_agent(spaces.Box(-1.0, 1.0, (9, 9, 2)), BOUNDED, "impala+gru"),
    **{
        f"{name}, normalized": functools.partial(
            make_agent, VECTOR, BOUNDED, activation=name, layer_norm=True
        )
        for name in ("tanh", "relu", "swish", "elu", "gelu")
    },
}


@functools.cache
def made(form):
    return AGENTS[form]()


def at(tree, path):
    return functools.reduce(operator.getitem, path, tree)


def names_of(state):
    """A memory as exported policies take it."""
    return state._asdict() if isinstance(state, tuple) else state


def with_onnx(agent):
    found, data = interface(agent), to_onnx(agent, origin_of(agent, None))
    session = onnxruntime.InferenceSession(data)
    names = [port.name for port in found.outputs]
    assert [i.name for i in session.get_inputs()] == [port.name for port in found.inputs]
    assert [o.name for o in session.get_outputs()] == names

    def run(*given):
        fed = {
            port.name: at(tree, port.path)
            for tree, (name, space) in zip(given, found.takes.items(), strict=True)
            for port in ports(space, name)
        }
        return dict(zip(names, session.run(None, fed), strict=True))

    return run


def with_jax(agent):
    found = interface(agent)
    program = jax.export.deserialize(bytearray(to_stablehlo(agent, origin_of(agent, None))))

    def run(*given):
        with jax.enable_x64(True):
            made = program.call(*given)
        given = made if "next_state" in found.gives else (made,)
        return {
            port.name: np.asarray(at(tree, port.path))
            for tree, (name, space) in zip(given, found.gives.items(), strict=True)
            for port in ports(space, name)
        }

    return run


RUNTIMES = {"onnx": with_onnx, "stablehlo": with_jax}


def check_equal(port, found, wanted):
    assert found.shape == wanted.shape, port
    assert found.dtype == wanted.dtype == port.dtype, port
    if found.dtype.kind == "f":
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5, err_msg=port.name)
    else:
        np.testing.assert_array_equal(found, wanted, err_msg=port.name)


def play(agent, run, where, steps=STEPS):
    """A thousand steps, in which the file acts as `predict` does with the same state."""
    found, rng = interface(agent), np.random.default_rng(1)
    observation, starts, state, actions = where.reset(), np.ones(COPIES, bool), None, []
    for _ in range(steps):
        action, after = agent.predict(observation, state, starts)
        given = [observation]
        if after is not None:
            # What goes in where an episode starts is of no account.
            held = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(x.dtype), after)
            if state is not None:
                anew = starts[:, None]
                held = jax.tree.map(functools.partial(np.where, anew), held, state)
            given += [names_of(held), starts]
        answers = run(*given)
        for port in ports(agent.action_space, "action"):
            check_equal(port, answers[port.name], at(action, port.path))
        if after is not None:
            for port in ports(found.gives["next_state"], "next_state"):
                check_equal(port, answers[port.name], at(names_of(after), port.path))
        actions.append(np.concatenate([x.reshape(COPIES, -1) for x in jax.tree.leaves(action)], 1))
        state = after
        observation, starts = where.step(action)
    assert len(np.unique(np.concatenate(actions), axis=0)) > 1


SLOW = [
    *["floats", "flags", "large image", "impala", "squares", "parts", "an image of parts"],
    *["not normalized", "masked coins", "cued doors", "tanh-Gaussian, σ of the state"],
    *["tanh, normalized", "relu, normalized"],
]


@pytest.mark.parametrize("form", cases(AGENTS, fast=[f for f in AGENTS if f not in SLOW]))
def test_onnx_runtime_acts_as_predict_does(form):
    play(made(form), with_onnx(made(form)), Drawn(made(form).observation_space))


@pytest.mark.parametrize("form", cases(AGENTS, fast=["cue, lstm", "doors", "dosage"]))
def test_a_program_in_jax_acts_as_predict_does(form):
    play(made(form), with_jax(made(form)), Drawn(made(form).observation_space))


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_tasks_are_played_as_predict_plays_them(task):
    # Two episodes of each, and more.
    play(made(task), with_onnx(made(task)), Played(TASKS[task]), steps=50)


def test_what_is_not_finite_is_forgotten():
    agent = made("cue, lstm")
    run, rows = with_onnx(agent), np.arange(4)
    seen = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], np.float32)
    bad = np.array([np.nan, np.inf, -np.inf, 1.0], np.float32)[rows, None] * np.ones(8, np.float32)
    good, no = np.full((4, 8), 0.3, np.float32), np.zeros(4, bool)
    found = run(seen, {"hidden": good, "cell": bad}, no)
    anew = run(seen, {"hidden": good, "cell": good}, rows < 3)
    for name in ("next_state.hidden", "next_state.cell"):
        np.testing.assert_array_equal(found[name][:3], anew[name][:3])
        assert (found[name][3] != run(seen, {"hidden": good, "cell": bad}, ~no)[name][3]).any()


def test_only_valid_actions_come_out():
    agent, rng = made("doors"), np.random.default_rng(0)
    only = rng.integers(200, size=50)
    mask = np.eye(200, dtype=np.int8)[only]
    seen = {"action_mask": mask, "context": rng.random((50, 10)).astype(np.float32)}
    np.testing.assert_array_equal(with_onnx(agent)(seen)["action"], only)


NAMES = {
    "cue": (["observation", "state", "reset"], ["action", "next_state"]),
    "cue, lstm": (
        ["observation", "state.hidden", "state.cell", "reset"],
        ["action", "next_state.hidden", "next_state.cell"],
    ),
    "doors": (["action_mask", "observation.context"], ["action"]),
    "masked choices": (["action_mask", "observation"], ["action"]),
    "dosage": (["observation"], ["action.amount", "action.kind"]),
    "mixed": (
        ["observation", "state.hidden", "state.cell", "reset"],
        [
            *["action.z", "action.a", "action.deep.0", "action.deep.1"],
            *["next_state.hidden", "next_state.cell"],
        ],
    ),
}


@pytest.mark.parametrize("form", NAMES)
def test_ports_have_names_that_say_what_they_are(form):
    found = interface(made(form))
    names = [[port.name for port in side] for side in (found.inputs, found.outputs)]
    assert tuple(names) == NAMES[form]


def of_entries(x):
    """Operators that work on every entry alike."""
    whole, low = (x * 3).astype(jnp.int32), jnp.abs(x) + 0.1
    parts = [jnp.sin(x), jnp.cos(x), jax.lax.erf(x), jnp.sqrt(low), jnp.log(low), jnp.log1p(low)]
    parts += [low**3, low**-0.5, x**3, jnp.exp(-low), jnp.sign(x), jnp.floor(x), jnp.ceil(x)]
    parts += [jax.nn.log_sigmoid(x), jax.nn.leaky_relu(x), jax.nn.selu(x), jax.nn.silu(x)]
    parts += [jnp.where((x <= 1) ^ (x >= 0.5), x, -x), jax.lax.clamp(-1.0, x, 0.5), jnp.square(x)]
    parts += [jax.lax.div(whole, 2).astype(x.dtype), jnp.where(whole != 1, 1.0, x), 1 / low]
    return jnp.tanh(jnp.concatenate(parts))


def of_arrays(x):
    """Operators that move, reduce or multiply arrays."""
    table = jnp.arange(12.0).reshape(3, 4) - 5.0
    rows = jnp.stack([x, 2 * x, x + 1], axis=1)
    parts = [x @ table, table.T @ x, rows.T[1], jnp.einsum("ij,jk->ki", rows, table).reshape(-1)]
    parts += [jnp.pad(x, (1, 2), constant_values=2.0), jnp.max(rows, 0), jnp.min(rows, 1)]
    parts += [jnp.prod(rows + 1, axis=0), jnp.sum(rows, axis=(0, 1))[None], rows[1:, ::2].ravel()]
    parts += [jnp.take(x, jnp.array([2, 0, 0, 1])), jnp.take(table, jnp.argmin(x), axis=0)]
    parts += [jnp.any(x > 1)[None].astype(x.dtype), jax.nn.softmax(x), jnp.mean(rows, axis=1)]
    parts += [jnp.squeeze(rows[:1], 0), jnp.linspace(0.0, 1.0, 3) * x, -x]
    return jnp.tanh(jnp.concatenate(parts))


def of_convolutions(x):
    """Channels first, with groups, strides, dilation and padding that differ."""
    rng = np.random.default_rng(0)
    image = x.reshape(1, 9, 10, 4)
    kernel = jnp.asarray(rng.normal(size=(3, 2, 2, 6)), jnp.float32) / 5
    options = {"rhs_dilation": (1, 2), "feature_group_count": 2}
    axes = ("NHWC", "HWIO", "NCHW")
    made = jax.lax.conv_general_dilated(
        image, kernel, (2, 1), [(1, 0), (0, 2)], dimension_numbers=axes, **options
    )
    return jnp.tanh(made).reshape(-1)


OWN = {
    "entries": (lambda key, spec: of_entries, VECTOR),
    "arrays": (lambda key, spec: of_arrays, VECTOR),
    "convolutions": (lambda key, spec: of_convolutions, spaces.Box(-1.0, 1.0, (9, 10, 4))),
}


@pytest.mark.parametrize("own", OWN)
def test_a_network_of_ones_own_has_a_graph_where_its_primitives_have(own):
    make, space = OWN[own]
    agent = make_agent(space, spaces.Box(-9.0, 9.0, (4,)), f"own {own}", make=make)
    play(agent, with_onnx(agent), Drawn(space))


NONE = {
    "sorting": (jnp.sort, "'sort'"),
    "bits": (lambda x: (x.astype(int) & 3) * 1.0, "'and' of the bits of integers"),
    "a loop": (lambda x: jax.lax.fori_loop(0, 3, lambda _, y: y * x, x), "'(scan|while)'"),
    "a transposed convolution": (
        lambda x: jax.lax.conv_transpose(
            x.reshape(1, 3, 1),
            jnp.ones((2, 1, 1)),
            (2,),
            "SAME",
            dimension_numbers=("NHC", "HIO", "NHC"),
        ).reshape(-1),
        "a transposed convolution",
    ),
    "a path through an array": (
        lambda x: x[None][jnp.array([0, 0]), jnp.array([0, 2])],
        "'gather'",
    ),
}


@pytest.mark.parametrize("what", NONE)
def test_what_onnx_cannot_hold_is_one_line_that_names_stablehlo(what, tmp_path):
    network, message = NONE[what]
    agent = make_agent(VECTOR, CHOICES, "own f", make=lambda key, spec: network)
    with pytest.raises(sf.UsageError, match=f"{message}.*--format stablehlo") as raised:
        sf.export(agent, tmp_path / "p.onnx", episodes=0)
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_stablehlo_holds_any_network():
    make = lambda key, spec: jnp.sort  # noqa: E731
    agent = make_agent(VECTOR, BOUNDED, "own f", make=make)
    play(agent, with_jax(agent), Drawn(VECTOR))


def test_a_graph_holds_nothing_that_is_of_no_use():
    """Neither xᵀ, which derivatives take, nor what is made of constants, nor a spare constant."""
    agent = make_agent(VECTOR, BOUNDED, state_dependent_std=True)
    graph = onnx.load_from_string(to_onnx(agent, origin_of(agent, None))).graph
    used = {name for node in graph.node for name in node.input}
    constants = {tensor.name for tensor in graph.initializer}
    assert constants <= used
    assert {"network.weights.0", "network.biases.1"} <= constants
    assert all(set(node.input) - constants for node in graph.node)
    assert "Transpose" not in {node.op_type for node in graph.node}


def python_of(path):
    return re.search(r"```python\n(.*?)```", path.read_text(), re.DOTALL).group(1)


class MaskedPole(gymnasium.Wrapper):
    """CartPole that may not push in the direction in which the cart moves fast."""

    def __init__(self):
        super().__init__(gymnasium.make("CartPole-v1").unwrapped)

    def action_masks(self):
        velocity = self.env.state[1]
        return np.array([velocity > -0.2, velocity < 0.2])


@pytest.fixture(scope="module", autouse=True)
def pole():
    gymnasium.register("MaskedPole-v0", MaskedPole, max_episode_steps=60)
    yield
    gymnasium.registry.pop("MaskedPole-v0")


def on(env_id, network="auto", size=None, **more):
    env = gymnasium.make(env_id)
    seen = env.observation_space if size is None else with_mask_space(env.observation_space, size)
    env.close()
    return make_agent(seen, env.action_space, network, environment=env_id, **more)


def on_pong():
    told = Preprocessing(screen_size=36, frame_stack=2)
    env = MakeAtari("ALE/Pong-v5", told)()
    agent = make_agent(
        env.observation_space,
        env.action_space,
        "cnn",
        environment="ALE/Pong-v5",
        preprocessing=told,
    )
    env.close()
    return agent


#: Agents, and what the code of their cards has to say.
CARDS = {
    "memory": (lambda: on("CartPole-v1", "lstm"), 'state = {"hidden": '),
    "masks of a method": (
        lambda: on("MaskedPole-v0", "gru", 2, action_masks="auto"),
        '"action_mask": np.hstack(env.get_wrapper_attr("action_masks")()), "observation": ',
    ),
    "masks in info": (
        lambda: on("Taxi-v4", size=6, action_masks="info"),
        'np.hstack(info["action_mask"])',
    ),
    "bounded": (lambda: on("Pendulum-v1", action_distribution="beta"), "act(observation)"),
    "a game": (on_pong, "env = FrameStackObservation(env, 2)"),
}


PLAYED = [f"{kind}: {form}" for kind in RUNTIMES for form in CARDS]


@pytest.mark.parametrize("case", cases(PLAYED, fast=[*PLAYED[:3], PLAYED[6]]))
def test_the_code_of_the_card_plays_what_evaluate_plays(case, tmp_path, monkeypatch):
    kind, form = case.split(": ")
    make, told = CARDS[form]
    agent = make()
    written = sf.export(agent, tmp_path / f"p.{kind}", format=kind, episodes=1)
    program = python_of(written.card)
    assert told in program
    monkeypatch.chdir(tmp_path)
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        exec(program, {})
    word, total = text.getvalue().split()
    assert word == "return"
    assert float(total) == pytest.approx(agent.evaluate(1, seed=1).mean, rel=1e-4)


@pytest.mark.parametrize("kind", cases(RUNTIMES, fast=["onnx"]))
@pytest.mark.parametrize("form", ["mixed", "masked choices", "parts", "dosage"])
def test_without_an_environment_the_card_acts_once_or_remembers(form, kind, tmp_path, monkeypatch):
    agent = made(form)
    written = sf.export(agent, tmp_path / f"p.{kind}", format=kind)
    monkeypatch.chdir(tmp_path)
    shown = []
    names = {"print": lambda word, action: shown.append(action)}
    exec(python_of(written.card), names)
    state, starts = None, True
    for found in shown:
        action, state = agent.predict(names["observation"], state, starts)
        for port in ports(agent.action_space, "action"):
            np.testing.assert_allclose(at(found, port.path), at(action, port.path), atol=1e-5)
        starts = False
    assert len(shown) == (1 if state is None else 3)


def test_an_action_of_one_part_stays_a_dict(tmp_path, monkeypatch):
    space = spaces.Dict({"move": spaces.Discrete(2)})
    agent = make_agent(spaces.Box(-1.0, 1.0, (3,)), space)
    written = sf.export(agent, tmp_path / "p.onnx", episodes=0)
    monkeypatch.chdir(tmp_path)
    shown = []
    exec(python_of(written.card), {"print": lambda word, action: shown.append(action)})
    assert shown == [{"move": 0}] or shown == [{"move": 1}]


@pytest.mark.parametrize(
    "space",
    [
        spaces.MultiDiscrete([3, 3], dtype=np.uint8, start=[250, 0]),
        spaces.MultiDiscrete([3, 3], dtype=np.int16),
        spaces.Discrete(3, dtype=np.int8),
    ],
    ids=str,
)
def test_integers_of_few_bits_go_in_as_they_are(space):
    agent = make_agent(space, spaces.Discrete(4), normalize_observations=False)
    session = onnxruntime.InferenceSession(to_onnx(agent, origin_of(agent, None)))
    space.seed(0)
    many = np.stack([np.asarray(space.sample()) for _ in range(20)]).astype(space.dtype)
    (found,) = session.run(["action"], {"observation": many})
    np.testing.assert_array_equal(found, agent.predict(many)[0])


def test_the_card_says_what_goes_in_and_out(tmp_path):
    text = sf.export(made("mixed"), tmp_path / "p.onnx", episodes=0).card.read_text()
    for row in (
        "| input | `state.cell` | `float32` | `[batch, 8]` | `next_state` of the step before |",
        "| input | `reset` | `bool` | `[batch]` | true where an episode starts |",
        "| output | `action.a` | `float32` | `[batch, 2, 1]` | numbers from -1 to 3 |",
        "| output | `action.deep.0` | `int64` | `[batch]` | an integer from 4 to 6 |",
        "| output | `next_state.hidden` | `float32` | `[batch, 8]` | the memory after the step |",
    ):
        assert row in text
    text = sf.export(made("doors"), tmp_path / "doors" / "p.onnx", episodes=0).card.read_text()
    assert "| `action_mask` | `int8` | `[batch, 200]` | 1 where an action is valid |" in text


def test_the_command_line_tells_all_that_goes_in_and_out(tmp_path):
    made("cue").save(tmp_path / "agent")
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        assert main(["export", str(tmp_path / "agent"), "--episodes", "0"]) == 0
    told = " ".join(text.getvalue().split())
    assert "state float32[batch, 8], reset bool[batch] → action int64[batch], next_state" in told
    assert (tmp_path / "agent" / "onnx" / "policy.onnx").is_file()


def test_a_mask_in_the_observation_is_not_looked_for_beside_it():
    spec = made("doors").spec
    assert masks_beside(spec, None) is None
    assert masks_beside(on("Taxi-v4", size=6, action_masks="info").spec, "NoSuchTask-v0") is None

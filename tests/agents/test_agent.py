"""The agent: predict, evaluate, save, load."""

import errno
import functools
import inspect
import itertools
import json
import math
import pickle
import re
from pathlib import Path

import cloudpickle
import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import batch_space, iterate
from hypothesis import given, settings
from hypothesis import strategies as st

import surefoot as sf
from surefoot.agents.playing.policy_spec import PolicySpec
from surefoot.common.files import array_folder
from surefoot.core.data.normalization import NoNormalizer, initial_moments, merge
from surefoot.core.networks.architecture import Architecture
from surefoot.envs.device.classic import DEVICE_ENVS
from surefoot.envs.registered import MakeCall
from surefoot.envs.spaces.encoding import Encoding
from surefoot.envs.spaces.reading import read_observations

CARTPOLE = gymnasium.make("CartPole-v1")
BOX = np.array([[0.0, -2.0], [10.0, 2.0]], np.float32)
ACTIONS = {
    "box": spaces.Box(*BOX),
    "box, float64": spaces.Box(0.0, 8.0, (2, 2), np.float64),
    "discrete": spaces.Discrete(3, start=5),
    "multi-discrete": spaces.MultiDiscrete([[2, 3], [4, 2]], start=[[1, 1], [0, -1]]),
    "multi-binary": spaces.MultiBinary((2, 2)),
}
OBSERVATIONS = {
    "box": spaces.Box(-5.0, 5.0, (3,)),
    "dict": spaces.Dict({"x": spaces.Box(-5.0, 5.0, (2, 2)), "k": spaces.Discrete(3, start=1)}),
    "tuple": spaces.Tuple([spaces.MultiBinary(2), spaces.Discrete(4)]),
}


def make_agent(observation_space, action_space, *, normalize=True, seed=0, **options):
    """An agent whose actions depend on the observation, and whose normalizer has seen things."""
    shape = PolicySpec(
        observation_space, action_space, Architecture(hidden=(8,)), -0.5, False, "affine", normalize
    )
    policy = shape.policy(jax.random.key(seed))
    policy = eqx.tree_at(lambda p: p.network.weights[-1], policy, replace_fn=lambda w: 200 * w)
    normalizer = shape.normalizer()
    if normalize:
        size = normalizer.moments.mean.size
        seen = np.random.default_rng(1).normal(0.1, 0.4, size=(30, size)).astype(np.float32)
        moments = jax.jit(merge)(initial_moments((size,)), seen, np.ones(30, bool))
        normalizer = eqx.tree_at(lambda n: n.moments, normalizer, moments)
    return sf.Agent(policy, normalizer, shape, **options)


@pytest.fixture(scope="module")
def cartpole():
    return make_agent(CARTPOLE.observation_space, CARTPOLE.action_space, environment="CartPole-v1")


def draw(space, n, seed=0):
    batch = batch_space(space, n)
    batch.seed(seed)
    return batch.sample()


def test_predict_has_the_signature_that_other_tools_call():
    signature = inspect.signature(sf.Agent.predict)
    assert [(p.name, p.default) for p in signature.parameters.values()][1:] == [
        ("observation", inspect.Parameter.empty),
        ("state", None),
        ("episode_start", None),
        ("deterministic", True),
        ("action_masks", None),
    ]


def test_predict_ignores_state_and_episode_start(cartpole):
    obs = np.ones(4, np.float32)
    action, state = cartpole.predict(obs, (np.zeros(3),), np.array([True]), True)
    assert state is None
    assert action == cartpole.predict(obs)[0]


@pytest.mark.parametrize("actions", ACTIONS)
def test_one_action_or_a_batch_comes_back_as_the_space_wants_it(actions):
    space = ACTIONS[actions]
    agent = make_agent(OBSERVATIONS["box"], space)
    batch = draw(OBSERVATIONS["box"], 7)
    for deterministic in (True, False):
        many, state = agent.predict(batch, deterministic=deterministic)
        assert state is None
        assert many.shape == (7, *space.shape)
        assert many.dtype == space.dtype
        one, _ = agent.predict(batch[0], deterministic=deterministic)
        assert one.shape == space.shape
        assert one.dtype == space.dtype
        assert all(space.contains(np.asarray(action)) for action in [*many, one])


@jax.jit
def most_likely(policy, normalizer, obs):
    return policy(normalizer(obs)).mode()


@pytest.mark.parametrize("actions", ACTIONS)
def test_a_deterministic_action_is_the_mode_and_a_stochastic_one_varies(actions):
    space = ACTIONS[actions]
    agent = make_agent(OBSERVATIONS["box"], space)
    batch = draw(OBSERVATIONS["box"], 50)
    mode = np.asarray(most_likely(agent.policy, agent.normalizer, batch))
    expected = {
        "box": lambda: np.clip(mode * [5.0, 2.0] + [5.0, 0.0], *BOX),
        "box, float64": lambda: np.clip(mode * 4.0 + 4.0, 0, 8).reshape(50, 2, 2),
        "discrete": lambda: mode + 5,
        "multi-discrete": lambda: np.reshape(mode, (50, 2, 2)) + space.start,
        "multi-binary": lambda: np.reshape(mode, (50, 2, 2)),
    }[actions]()
    predicted, _ = agent.predict(batch)
    np.testing.assert_allclose(predicted, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(predicted, agent.predict(batch)[0])
    np.testing.assert_allclose(agent.predict(batch[3])[0], predicted[3], rtol=1e-5, atol=1e-5)
    assert len(np.unique(predicted, axis=0)) > 1

    samples = [agent.predict(batch, deterministic=False)[0] for _ in range(3)]
    for a, b in itertools.combinations(samples, 2):
        assert (a != b).any()


@pytest.mark.parametrize("observations", OBSERVATIONS)
def test_nested_observations_give_the_same_actions_singly_and_in_a_batch(observations):
    space = OBSERVATIONS[observations]
    agent = make_agent(space, ACTIONS["box"])
    batch = draw(space, 6)
    many, _ = agent.predict(batch)
    assert many.shape == (6, 2)
    singly = [agent.predict(obs)[0] for obs in iterate(batch_space(space, 6), batch)]
    np.testing.assert_allclose(many, singly, rtol=1e-4, atol=1e-5)
    assert len(np.unique(many, axis=0)) > 1


def test_predict_normalizes_the_observation():
    agent = make_agent(OBSERVATIONS["box"], ACTIONS["box"])
    bare = sf.Agent(agent.policy, NoNormalizer(), agent.spec)
    batch = draw(OBSERVATIONS["box"], 20)
    normalized = np.asarray(agent.normalizer(jnp.asarray(batch)))
    np.testing.assert_allclose(
        agent.predict(batch)[0], bare.predict(normalized)[0], rtol=1e-5, atol=1e-5
    )
    assert np.abs(agent.predict(batch)[0] - bare.predict(batch)[0]).max() > 0.1


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 2), (2, 5, 4)])
def test_an_observation_of_the_wrong_shape_is_refused(cartpole, shape):
    with pytest.raises(sf.UsageError, match="accepted is one observation of Box"):
        cartpole.predict(np.zeros(shape, np.float32))


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.sampled_from([*OBSERVATIONS]), st.data())
def test_whatever_is_given_for_an_observation_is_acted_on_or_one_line(name, data):
    agent = AGENTS[name]
    leaf = st.one_of(
        st.none(),
        st.text(max_size=3),
        st.integers(-2, 5),
        st.floats(),
        st.sampled_from([np.zeros((2, 2)), np.zeros((3, 2, 2)), np.zeros(4), np.zeros((0, 3))]),
        st.sampled_from([np.array(["a"]), np.array([None]), np.zeros(3, complex), object(), int]),
    )
    anything = st.recursive(
        leaf,
        lambda x: st.one_of(
            st.lists(x, max_size=3),
            st.lists(x, max_size=3).map(tuple),
            st.dictionaries(st.sampled_from("xkq"), x, max_size=3),
        ),
        max_leaves=4,
    )
    try:
        batch = read_observations(agent.observation_space, data.draw(anything))[0]
    except sf.UsageError as error:
        said = str(error)
    else:
        assert batch.shape[1:] == (Encoding(agent.observation_space).size,)
        return
    assert re.fullmatch(".*accepted is.*", said)


AGENTS = {name: make_agent(space, ACTIONS["discrete"]) for name, space in OBSERVATIONS.items()}


@pytest.mark.parametrize(
    ("name", "observation", "says"),
    [
        ("box", (np.zeros(3), {}), r"obs, info = env\.reset\(\)"),
        ("box", [[1.0], [1.0, 2.0]], "of which NumPy makes no array"),
        ("box", np.zeros((2, 2, 3)), "has 2 leading dimensions"),
        ("dict", {"x": np.zeros((2, 2))}, "lacks 'k'"),
        ("dict", {"x": np.zeros((5, 2, 2)), "k": np.ones(4, int)}, "parts of several batches"),
        (
            "dict",
            {"x": np.zeros((2, 2)), "k": 4},
            r"\['k'\] is 4, outside of Discrete\(3, start=1\)",
        ),
        ("tuple", (np.zeros(2, int), 1.5), r"\[1\] is 1.5, outside of Discrete\(4\)"),
        ("tuple", (np.zeros(2, int),), "no tuple of 2"),
    ],
)
def test_a_mistake_with_predict_is_named(name, observation, says):
    with pytest.raises(sf.UsageError, match=says):
        AGENTS[name].predict(observation)


def test_a_batch_of_none_has_no_actions(cartpole):
    assert cartpole.predict(np.empty((0, 4)))[0].shape == (0,)


@pytest.mark.parametrize("integer", [np.int64, np.uint8, np.array, jnp.int32])
def test_integers_of_numpy_and_jax_are_taken_as_pythons(cartpole, integer):
    assert results(cartpole.evaluate(integer(3), integer(5))) == results(cartpole.evaluate(3, 5))


class Halving(gymnasium.Env):
    """Writes to the action that it is given."""

    observation_space, action_space = OBSERVATIONS["box"], ACTIONS["box"]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._steps = 0
        return np.zeros(3, np.float32), {}

    def step(self, action):
        self._steps += 1
        action *= 0.5
        return np.zeros(3, np.float32), 1.0, self._steps == 3, False, {}


def test_what_is_recorded_is_the_action_that_the_agent_chose():
    agent = make_agent(OBSERVATIONS["box"], ACTIONS["box"])
    chosen = agent.predict(np.zeros(3, np.float32))[0]
    recorded = agent.record(2, env=Halving)
    np.testing.assert_allclose(recorded.action, np.tile(chosen, (6, 1)), rtol=1e-5)
    assert (chosen != 0.0).all()


@pytest.mark.parametrize("dump", [pickle.dumps, cloudpickle.dumps])
@pytest.mark.parametrize("activation", [jnp.tanh, jax.nn.relu, math.tanh])
def test_an_agent_can_be_pickled(cartpole, dump, activation):
    head = cartpole.policy.head
    policy = sf.mlp_policy(jax.random.key(0), 4, head, hidden=(8,), activation=activation)
    options = functools.partial(gymnasium.make, "CartPole-v1", max_episode_steps=7)
    agent = sf.Agent(policy, cartpole.normalizer, cartpole.spec, environment=options)
    again = pickle.loads(dump(agent))
    assert_same_agent(again, agent)
    assert again.policy.network.activation is activation
    assert again.environment.keywords == {"max_episode_steps": 7}


def test_a_pickled_agent_acts_likewise(cartpole):
    again = pickle.loads(pickle.dumps(cartpole))
    batch = draw(CARTPOLE.observation_space, 20)
    np.testing.assert_array_equal(again.predict(batch)[0], cartpole.predict(batch)[0])


OPTIONS = st.dictionaries(
    st.sampled_from(["is_slippery", "map_name", "max_episode_steps"]),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=4)),
        lambda x: st.lists(x, max_size=2),
        max_leaves=3,
    ),
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(OPTIONS)
def test_an_environment_with_options_is_kept_with_them(options):
    call = MakeCall.of(functools.partial(gymnasium.make, "FrozenLake-v1", **options))
    assert call == ("FrozenLake-v1", options)
    assert MakeCall.from_json(json.loads(json.dumps(call.to_json()))) == call
    assert MakeCall.of(call.source) == call
    by_name = functools.partial(gymnasium.make, id="FrozenLake-v1", **options)
    assert MakeCall.of(by_name) == call


@pytest.mark.parametrize(
    "source",
    [
        lambda: gymnasium.make("CartPole-v1"),
        functools.partial(gymnasium.make, "CartPole-v1", size=np.zeros(3)),
        functools.partial(gymnasium.make, "CartPole-v1", size=(1, 2)),
        functools.partial(gymnasium.make, "module:CartPole-v1"),
        functools.partial(gymnasium.make, CARTPOLE.spec),
        functools.partial(print, "CartPole-v1"),
        None,
    ],
)
def test_what_a_file_cannot_hold_is_no_call(source):
    assert MakeCall.of(source) is None


def test_a_file_names_no_module_to_import():
    assert MakeCall.from_json({"id": "module:CartPole-v1", "options": {"a": 1}}) is None
    assert MakeCall.from_json({"id": "CartPole-v1", "options": []}) is None


def test_an_agent_plays_on_with_the_options_that_it_was_trained_with(cartpole, tmp_path):
    agent = sf.Agent(
        cartpole.policy,
        cartpole.normalizer,
        cartpole.spec,
        environment=functools.partial(gymnasium.make, "CartPole-v1", max_episode_steps=5),
    )
    agent.save(tmp_path / "agent")
    assert sf.load(tmp_path / "agent").evaluate(3).lengths.max() <= 5


def test_one_whose_maker_is_unknown_says_so(cartpole):
    agent = sf.Agent(
        cartpole.policy,
        cartpole.normalizer,
        cartpole.spec,
        provenance={"environment": "CartPole-v1"},
    )
    with pytest.raises(sf.UsageError, match="CartPole-v1 as a callable of one's own made it: pass"):
        agent.evaluate(1)


def play(agent, env, seed, episodes):
    """(return, length) of each episode, as a plain Gymnasium loop counts them."""
    played = []
    obs, _ = env.reset(seed=seed)
    while len(played) < episodes:
        total, length, done = 0.0, 0, False
        while not done:
            action, _ = agent.predict(obs)
            obs, reward, terminated, truncated, _ = env.step(action)
            total, length = total + float(reward), length + 1
            done = terminated or truncated
        played.append((total, length))
        obs, _ = env.reset()
    return played


def results(evaluation):
    return sorted(zip(evaluation.returns.tolist(), evaluation.lengths.tolist(), strict=True))


def test_evaluate_equals_a_plain_loop_over_the_same_seeds(cartpole):
    expected = [play(cartpole, CARTPOLE, 40 + i, 1)[0] for i in range(5)]
    evaluation = cartpole.evaluate(5, 40)
    assert results(evaluation) == sorted(expected)
    assert len(set(expected)) > 1
    assert evaluation.mean == pytest.approx(np.mean([total for total, _ in expected]))
    assert evaluation.std == pytest.approx(np.std([total for total, _ in expected]))


class Counting(gymnasium.Env):
    """Episodes of a fixed length, with random rewards."""

    observation_space = spaces.Box(-np.inf, np.inf, (4,))
    action_space = CARTPOLE.action_space

    def __init__(self, length, *, truncates=False):
        self.length, self.truncates = length, truncates

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._step = 0
        return np.zeros(4, np.float32), {}

    def step(self, action):
        self._step += 1
        done = self._step == self.length
        ends = (False, done) if self.truncates else (done, False)
        return np.zeros(4, np.float32), self.np_random.normal(), *ends, {}


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_short_episodes_are_not_favored_and_several_in_a_row_are_counted_apart(cartpole, mode):
    makers = [lambda: Counting(2), lambda: Counting(9, truncates=True)]
    expected = [play(cartpole, make(), 3 + i, 3) for i, make in enumerate(makers)]
    evaluation = cartpole.evaluate(6, 3, env=SyncVectorEnv(makers, autoreset_mode=mode))
    expected = sorted(itertools.chain.from_iterable(expected))
    np.testing.assert_allclose(results(evaluation), expected, rtol=1e-6)


@pytest.mark.parametrize("episodes", [1, 2, 7, 8])
def test_the_number_of_episodes_is_exact_and_shared_evenly(cartpole, episodes):
    makers = [lambda n=n: Counting(n) for n in (1, 5, 11)]
    evaluation = cartpole.evaluate(episodes, env=SyncVectorEnv(makers))
    assert len(evaluation.returns) == len(evaluation.lengths) == episodes
    shares = [int((evaluation.lengths == n).sum()) for n in (1, 5, 11)]
    assert sum(shares) == episodes
    assert max(shares) - min(shares) <= 1


def test_more_episodes_than_copies_are_played_from_an_id(cartpole):
    assert len(cartpole.evaluate(18, env=lambda: Counting(3)).returns) == 18


class Endless(Counting):
    """Ends with probability 1/20 a step where it ends at all."""

    def __init__(self, ends=False):
        super().__init__(1)
        self._ends = ends

    def step(self, action):
        obs, reward, *_ = super().step(action)
        return obs, reward, self._ends and self.np_random.random() < 0.05, False, {}


def test_episodes_that_never_end_are_cut_and_it_is_said(cartpole):
    with pytest.warns(RuntimeWarning, match=r"18 of 18 episodes had not ended after 7 steps"):
        evaluation = cartpole.evaluate(18, env=Endless, max_episode_steps=7)
    assert evaluation.lengths.tolist() == [7] * 18
    assert evaluation.cut == 18
    with pytest.warns(RuntimeWarning, match=r"3 of 3 episodes had not ended after 7 steps"):
        recorded = cartpole.record(3, env=Endless, max_episode_steps=7)
    ends = [6, 13, 20]
    assert np.flatnonzero(recorded.truncated).tolist() == ends
    assert len(recorded) == 21
    assert not recorded.terminated.any()


def test_episodes_that_end_in_time_are_those_without_a_limit(cartpole):
    def ending():
        return Endless(ends=True)

    whole = cartpole.evaluate(16, 5, env=ending)
    assert whole.cut == 0
    with pytest.warns(RuntimeWarning, match="were cut there: --max-episode-steps"):
        limited = cartpole.evaluate(16, 5, env=ending, max_episode_steps=12)
    assert limited.cut == (whole.lengths > 12).sum() > 0
    of = {True: sorted(results(whole)), False: sorted(results(limited))}
    short = [[pair for pair in of[key] if pair[1] < 12] for key in of]
    assert short[0] == short[1] != []


def test_a_vector_environment_that_never_ends_is_refused(cartpole):
    envs = SyncVectorEnv([Endless] * 2)
    for play in (cartpole.evaluate, cartpole.record):
        with pytest.raises(sf.UsageError, match=r"has not ended after 9 steps; .*TimeLimit"):
            play(2, env=envs, max_episode_steps=9)
    for wrong in (0, 1.5, "9"):
        with pytest.raises(sf.UsageError, match=r"max_episode_steps is .*; accepted is an integer"):
            cartpole.evaluate(2, env=Endless, max_episode_steps=wrong)


def test_a_stochastic_evaluation_depends_on_its_seed_only(cartpole):
    first, again, other = (cartpole.evaluate(4, s, deterministic=False) for s in (1, 1, 2))
    assert results(first) == results(again)
    assert results(first) != results(other)
    assert results(first) != results(cartpole.evaluate(4, 1))


class Fixed:
    """A functional environment whose episodes have random length; a step earns its number."""

    observation_space = spaces.Box(-np.inf, np.inf, (4,))
    action_space = CARTPOLE.action_space

    def initial(self, rng):
        return {"step": jnp.zeros(()), "length": jax.random.randint(rng, (), 1, 7)}

    def transition(self, state, action, rng):
        return {**state, "step": state["step"] + 1}

    def observation(self, state, rng):
        return jnp.full(4, state["step"])

    def reward(self, state, action, next_state, rng):
        return next_state["step"]

    def terminal(self, state, rng):
        return state["step"] == state["length"]


def test_device_evaluation_plays_one_whole_episode_in_every_copy(cartpole):
    env = sf.DeviceEnv(Fixed(), time_limit=5)
    evaluation = cartpole.evaluate(64, env=env)
    n = evaluation.lengths
    np.testing.assert_allclose(evaluation.returns, n * (n + 1) / 2)
    # Lengths 1 to 6 are as likely, and 6 is cut to 5.
    counts = np.bincount(n, minlength=6)
    assert counts[0] == 0
    assert counts[5] > counts[1:5].max()
    assert (counts[1:] > 3).all()


def test_device_evaluation_agrees_with_the_hosts(cartpole):
    device = cartpole.evaluate(200, env=DEVICE_ENVS["CartPole-v1"])
    np.testing.assert_array_equal(device.returns, device.lengths)
    host = cartpole.evaluate(200)
    error = np.hypot(host.std, device.std) / 200**0.5
    assert abs(host.mean - device.mean) < 4 * error
    assert results(device) == results(cartpole.evaluate(200, env=DEVICE_ENVS["CartPole-v1"]))


def test_device_evaluation_needs_a_time_limit(cartpole):
    with pytest.raises(sf.UsageError, match="needs a time limit: pass time_limit=STEPS"):
        cartpole.evaluate(3, env=sf.DeviceEnv(Fixed()))


def test_evaluating_nothing_or_nowhere_is_a_usage_error(cartpole):
    with pytest.raises(sf.UsageError, match="episodes is 0"):
        cartpole.evaluate(0)
    homeless = sf.Agent(cartpole.policy, cartpole.normalizer, cartpole.spec)
    with pytest.raises(sf.UsageError, match="pass --env ID or MODULE:NAME, or env="):
        homeless.evaluate(1)


def test_an_environment_with_other_spaces_is_a_usage_error(cartpole):
    with pytest.raises(sf.UsageError, match="which the agent was trained on"):
        cartpole.evaluate(1, env="Acrobot-v1")


def leaves(agent):
    named = jax.tree_util.tree_leaves_with_path((agent.policy, agent.normalizer))
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in named}


def assert_same_agent(a, b):
    ours, theirs = leaves(a), leaves(b)
    assert ours.keys() == theirs.keys()
    for name, leaf in ours.items():
        assert leaf.dtype == theirs[name].dtype
        np.testing.assert_array_equal(leaf, theirs[name], err_msg=name)
    assert a.spec == b.spec


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("actions", ACTIONS)
def test_a_saved_agent_comes_back_bit_for_bit(actions, normalize, tmp_path):
    agent = make_agent(OBSERVATIONS["dict"], ACTIONS[actions], normalize=normalize, seed=3)
    agent.save(tmp_path / "deep" / "agent")
    loaded = sf.load(tmp_path / "deep" / "agent")
    assert_same_agent(agent, loaded)
    assert type(loaded.normalizer) is type(agent.normalizer)
    batch = draw(OBSERVATIONS["dict"], 9)
    for deterministic in (True, False):
        mine, theirs = (x.predict(batch, deterministic=deterministic)[0] for x in (agent, loaded))
        np.testing.assert_array_equal(mine, theirs)
        assert mine.dtype == theirs.dtype


def test_the_environment_and_the_provenance_are_kept(cartpole, tmp_path):
    provenance = {"algorithm": "trpo", "hyperparameters": {"max_kl": 0.01}}
    sf.Agent(
        cartpole.policy,
        cartpole.normalizer,
        cartpole.spec,
        environment="CartPole-v1",
        provenance=provenance,
    ).save(tmp_path / "agent")
    loaded = sf.load(tmp_path / "agent")
    assert loaded.provenance == provenance
    assert results(loaded.evaluate(3, 5)) == results(cartpole.evaluate(3, 5))


def test_a_runs_folder_loads_too(cartpole, tmp_path):
    cartpole.save(tmp_path / "agent")
    assert_same_agent(sf.load(tmp_path), cartpole)


def test_saving_replaces_a_saved_agent_and_leaves_nothing_else(cartpole, tmp_path):
    folder = tmp_path / "agent"
    cartpole.save(folder)
    other = make_agent(OBSERVATIONS["box"], ACTIONS["box"], seed=8)
    other.save(folder)
    assert_same_agent(sf.load(folder), other)
    assert [path.name for path in tmp_path.iterdir()] == ["agent"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "arrays.safetensors",
        "manifest.json",
    ]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_saving_over_something_else_is_refused_and_keeps_it(cartpole, kind, tmp_path):
    place = tmp_path / "mine"
    if kind == "folder":
        place.mkdir()
        (place / "notes.txt").write_text("kept")
    else:
        place.write_text("kept")
    with pytest.raises(sf.UsageError, match="is no saved agent; accepted is a new path"):
        cartpole.save(place)
    kept = place / "notes.txt" if kind == "folder" else place
    assert kept.read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_save_that_fails_keeps_the_old_agent_and_leaves_no_debris(
    cartpole, tmp_path, monkeypatch
):
    folder = tmp_path / "agent"
    cartpole.save(folder)
    other = make_agent(OBSERVATIONS["box"], ACTIONS["box"])
    other.provenance = {"not JSON": object()}
    with pytest.raises(TypeError):
        other.save(folder)
    assert_same_agent(sf.load(folder), cartpole)
    assert [path.name for path in tmp_path.iterdir()] == ["agent"]

    # At the last moment, when the old one has been moved out of the way.
    other.provenance = {}
    rename, failed = Path.rename, []

    def fail_once(path, target):
        if target == folder and not failed:
            failed.append(path)
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(sf.UsageError, match="cannot be made: Input/output error"):
        other.save(folder)
    assert_same_agent(sf.load(folder), cartpole)
    assert [path.name for path in tmp_path.iterdir()] == ["agent"]


@pytest.fixture
def saved(cartpole, tmp_path):
    cartpole.save(tmp_path / "agent")
    return tmp_path / "agent"


@pytest.mark.parametrize("name", ["arrays.safetensors", "manifest.json"])
def test_a_truncated_file_is_a_usage_error(saved, name):
    data = (saved / name).read_bytes()
    for length in {0, 1, 7, 8, 9, 64, len(data) // 2, len(data) - 1}:
        (saved / name).write_bytes(data[:length])
        with pytest.raises(sf.UsageError) as error:
            sf.load(saved)
        assert "\n" not in str(error.value)


def test_any_flipped_byte_of_the_arrays_is_a_usage_error(saved):
    path = saved / "arrays.safetensors"
    data = path.read_bytes()
    for i in range(0, len(data), 37):
        flipped = bytearray(data)
        flipped[i] ^= 1 << (i % 8)
        path.write_bytes(flipped)
        with pytest.raises(sf.UsageError, match="SHA-256"):
            sf.load(saved)


def test_a_flipped_byte_of_the_manifest_gives_an_agent_or_a_usage_error(saved):
    path = saved / "manifest.json"
    data = path.read_bytes()
    loaded = 0
    for i in range(len(data)):
        flipped = bytearray(data)
        flipped[i] ^= 1 << (i % 8)
        path.write_bytes(flipped)
        try:
            sf.load(saved)
            loaded += 1
        except sf.UsageError:
            pass
    assert loaded < len(data) / 5


@pytest.mark.parametrize(
    ("was", "becomes"), [(b'"start": 0', b'"start": 1'), (b'"affine"', b'"affinf"')]
)
def test_a_manifest_that_would_change_the_actions_is_a_usage_error(saved, was, becomes):
    path = saved / "manifest.json"
    data = path.read_bytes()
    assert was in data
    path.write_bytes(data.replace(was, becomes))
    with pytest.raises(sf.UsageError):
        sf.load(saved)


FORGERIES = {
    "no object": lambda m: [],
    "no hash": lambda m: {**m, "sha256": {}},
    "another format": lambda m: {**m, "format": "surefoot checkpoint"},
    "a newer version": lambda m: {**m, "format_version": 99},
    "another width": lambda m: {**m, "network": {**m["network"], "hidden": [9]}},
    "another depth": lambda m: {**m, "network": {**m["network"], "hidden": [8, 8]}},
    "widths that no memory holds": lambda m: {
        **m,
        "network": {**m["network"], "hidden": [2**20, 2**20]},
    },
    "no widths": lambda m: {**m, "network": {**m["network"], "hidden": "wide"}},
    "another space": lambda m: {**m, "action_space": {"type": "Discrete", "n": 7, "start": 0}},
    "an unknown space": lambda m: {**m, "action_space": {"type": "os.system"}},
    "an unsupported space": lambda m: {**m, "action_space": m["observation_space"] | {"shape": []}},
    "no normalizer": lambda m: {**m, "normalize_observations": False},
    "a missing field": lambda m: {k: v for k, v in m.items() if k != "log_std"},
    "an unknown action map": lambda m: {**m, "action_map": "affinf"},
    "a width beyond 32 bits": lambda m: {
        **m,
        "network": {**m["network"], "hidden": [2**40, 2**40]},
    },
    "a space beyond 64 bits": lambda m: {**m, "action_space": {**m["action_space"], "n": 2**70}},
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_manifest_that_does_not_fit_is_a_usage_error(saved, forge):
    path = saved / "manifest.json"
    manifest = json.loads(path.read_text())
    forged = forge(manifest)
    # Sealed anew, so that it is not the hash alone that refuses.
    if isinstance(forged, dict) and forged.get("sha256"):
        forged = array_folder.seal(forged, (saved / "arrays.safetensors").read_bytes())
    path.write_text(json.dumps(forged))
    with pytest.raises(sf.UsageError, match="is no intact saved agent"):
        sf.load(saved)


@pytest.mark.parametrize("name", ["arrays.safetensors", "manifest.json"])
def test_a_missing_file_is_a_usage_error(saved, name):
    (saved / name).unlink()
    with pytest.raises(sf.UsageError, match=r"is no (intact )?saved agent"):
        sf.load(saved)


def test_what_is_no_agent_is_a_usage_error(tmp_path):
    (tmp_path / "file").write_text("{}")
    for place in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(sf.UsageError, match=r"is no saved agent: it has no manifest\.json"):
            sf.load(place)


def test_nothing_in_the_package_unpickles_or_evaluates():
    package = Path(sf.__file__).parent
    sources = {path: path.read_text() for path in package.rglob("*.py")}
    assert len(sources) > 30
    modules = r"\b(pickle|cloudpickle|dill|marshal|shelve)\b|\bjoblib\."
    forbidden = re.compile(rf"{modules}|\b(eval|exec)\(")
    # Between a process and the workers that it started, no file is read.
    workers = {"worker.py", "vector.py", "process.py", "module_finder.py"}
    found = {p.name: forbidden.findall(x) for p, x in sources.items() if p.name not in workers}
    assert not {name: hits for name, hits in found.items() if hits}
    assert not [path.name for path, text in sources.items() if "allow_pickle" in text]


def test_saving_and_loading_use_no_pickle(cartpole, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("pickle was used")

    for name in ("load", "loads", "dump", "dumps", "Unpickler", "Pickler"):
        monkeypatch.setattr(pickle, name, refuse)
    cartpole.save(tmp_path / "agent")
    assert_same_agent(sf.load(tmp_path / "agent"), cartpole)

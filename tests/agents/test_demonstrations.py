"""Demonstrations: recorded, kept in a file, read from Minari, and refused in one line."""

import gc
import json
import os
import re
import sys
import warnings

import equinox as eqx
import gymnasium
import jax
import numpy as np
import pytest
import safetensors.numpy
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import surefoot as sf
from surefoot.agents import demonstrations
from surefoot.agents.demonstrations import Demonstrations
from surefoot.agents.playing.policy_spec import PolicySpec
from surefoot.cli.main import main
from surefoot.core.networks.architecture import Architecture
from surefoot.envs.device.classic import DEVICE_ENVS
from surefoot.envs.spaces.encoding import Encoding

CARTPOLE = gymnasium.make("CartPole-v1")
FIELDS = ("obs", "action", "reward", "terminated", "truncated")
ACTIONS = {
    "box": spaces.Box(np.array([0.0, -2.0], np.float32), np.array([10.0, np.inf], np.float32)),
    "box, float64": spaces.Box(0.0, 8.0, (2, 2), np.float64),
    "discrete": spaces.Discrete(3, start=5),
    "multi-discrete": spaces.MultiDiscrete([[2, 3], [4, 2]], start=[[1, 1], [0, -1]]),
    "multi-binary": spaces.MultiBinary((2, 2)),
}
SEEN = spaces.Dict({"x": spaces.Box(-np.inf, np.inf, (2,)), "k": spaces.Discrete(3, start=1)})


def make_agent(observation_space, action_space, **options):
    shape = PolicySpec(
        observation_space=observation_space,
        action_space=action_space,
        network=Architecture(hidden=(8,)),
        log_std=-0.5,
        state_dependent_std=False,
        action_map="affine",
        normalize_observations=False,
    )
    policy = shape.policy(jax.random.key(0))
    policy = eqx.tree_at(lambda p: p.network.weights[-1], policy, replace_fn=lambda w: 200 * w)
    return sf.Agent(policy, shape.normalizer(), shape, **options)


@pytest.fixture(scope="module")
def cartpole():
    return make_agent(CARTPOLE.observation_space, CARTPOLE.action_space, environment="CartPole-v1")


class Logging(gymnasium.Env):
    """Random observations and rewards, and episodes of `length` steps, with a log of all that
    happened: one list of (obs, action, reward, terminated, truncated) for each episode."""

    def __init__(self, action_space, length, *, truncates=False, log=None, observation_space=SEEN):
        self.action_space, self.observation_space = action_space, observation_space
        self.length, self.truncates = length, truncates
        self.log = [] if log is None else log

    def _observe(self):
        self._obs = self.observation_space.sample()
        return self._obs

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self._rows = []
        return self._observe(), {}

    def step(self, action):
        done = len(self._rows) + 1 == self.length
        outcome = self.np_random.normal(), done and not self.truncates, done and self.truncates
        self._rows.append((Encoding(self.observation_space)(self._obs), np.array(action), *outcome))
        if done:
            self.log.append(self._rows)
        return self._observe(), *outcome, {}


def assert_rows(recorded, rows):
    for name, column in zip(FIELDS, zip(*rows, strict=True), strict=True):
        np.testing.assert_array_equal(getattr(recorded, name), np.array(column), err_msg=name)


def assert_same(a, b):
    for name in FIELDS:
        ours, theirs = getattr(a, name), getattr(b, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
    assert a.observation_space == b.observation_space
    assert a.action_space == b.action_space
    assert a.environment == b.environment


@pytest.mark.parametrize("actions", ACTIONS)
def test_what_is_recorded_is_what_the_environment_saw_and_it_survives_a_file(actions, tmp_path):
    space, log = ACTIONS[actions], []
    agent = make_agent(SEEN, space)
    maker = lambda: Logging(space, 7, log=log)  # noqa: E731
    recorded = agent.record(3, 4, env=maker, deterministic=False)
    assert_rows(recorded, [row for episode in log for row in episode])
    assert len(recorded) == 21
    assert recorded.obs.dtype == np.float32
    assert recorded.obs.shape == (21, 5)
    assert recorded.action.dtype == space.dtype
    assert recorded.action.shape == (21, *space.shape)
    assert len(np.unique(recorded.action, axis=0)) > 1
    assert recorded.environment is None

    path = tmp_path / "deep" / "file.safetensors"
    demonstrations.save(recorded, path)
    assert_same(demonstrations.load(path), recorded)
    assert_same(demonstrations.load(str(path)), recorded)
    assert [place.name for place in path.parent.iterdir()] == ["file.safetensors"]


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
@pytest.mark.parametrize("copy", [True, False])
def test_episodes_of_a_vector_environment_are_whole_and_in_the_order_of_their_ends(mode, copy):
    space, log = spaces.Discrete(3), []
    observed = spaces.Box(-np.inf, np.inf, (2,))
    makers = [
        lambda: Logging(space, 9, log=log, observation_space=observed),
        lambda: Logging(space, 2, log=log, truncates=True, observation_space=observed),
    ]
    envs = SyncVectorEnv(makers, copy=copy, autoreset_mode=mode)
    agent = make_agent(observed, space)
    recorded = agent.record(6, 3, env=envs)
    short, long = ([e for e in log if len(e) == n] for n in (2, 9))
    # The 2-step copy has played its share of three before the first of 9 steps ends.
    assert_rows(recorded, [row for episode in short[:3] + long[:3] for row in episode])
    ends = np.flatnonzero(recorded.terminated | recorded.truncated)
    np.testing.assert_array_equal(ends, [1, 3, 5, 14, 23, 32])
    np.testing.assert_array_equal(recorded.truncated[ends], [True] * 3 + [False] * 3)
    envs.close()


def assert_episodes(recorded, evaluated):
    np.testing.assert_array_equal(recorded.returns, evaluated.returns)
    ends = np.flatnonzero(recorded.terminated | recorded.truncated)
    np.testing.assert_array_equal(np.diff(ends, prepend=-1), evaluated.lengths)
    assert ends[-1] == len(recorded) - 1
    assert recorded.environment == "CartPole-v1"
    # As the physics have it, row after row.
    host = gymnasium.make("CartPole-v1").unwrapped
    host.reset()
    for row in np.setdiff1d(np.arange(len(recorded)), ends):
        host.state = recorded.obs[row].astype(float)
        next_obs, *_ = host.step(recorded.action[row])
        np.testing.assert_allclose(recorded.obs[row + 1], next_obs, atol=1e-5)


@pytest.mark.parametrize("deterministic", [True, False])
def test_the_episodes_are_those_that_evaluate_plays(cartpole, deterministic):
    recorded = cartpole.record(18, 6, deterministic=deterministic)
    assert_episodes(recorded, cartpole.evaluate(18, 6, deterministic=deterministic))
    if deterministic:
        np.testing.assert_array_equal(recorded.action, cartpole.predict(recorded.obs)[0])


def test_a_device_recordings_episodes_are_those_that_evaluate_plays(cartpole):
    env = DEVICE_ENVS["CartPole-v1"]
    recorded = cartpole.record(8, 6, env=env, deterministic=False)
    assert_episodes(recorded, cartpole.evaluate(8, 6, env=env, deterministic=False))


def test_recording_nothing_or_nowhere_is_a_usage_error(cartpole):
    with pytest.raises(sf.UsageError, match="episodes is 0"):
        cartpole.record(0)
    with pytest.raises(sf.UsageError, match="which the agent was trained on"):
        cartpole.record(1, env="Acrobot-v1")
    with pytest.raises(sf.UsageError, match="needs a time limit"):
        cartpole.record(1, env=sf.DeviceEnv(DEVICE_ENVS["CartPole-v1"].env))


def data(**changes):
    """Five transitions of CartPole, in two episodes and a piece."""
    return {
        "obs": np.arange(20.0).reshape(5, 4),
        "action": np.array([0, 1, 1, 0, 1]),
        "reward": np.array([1.0, 2.0, 4.0, 8.0, 16.0]),
        "terminated": np.array([False, True, False, False, False]),
        "truncated": np.array([False, False, False, True, False]),
        "observation_space": CARTPOLE.observation_space,
        "action_space": CARTPOLE.action_space,
        **changes,
    }


def test_the_returns_are_those_of_the_episodes_that_ended():
    made = Demonstrations(**data())
    np.testing.assert_array_equal(made.returns, [3.0, 12.0])
    never = np.zeros(5, bool)
    assert Demonstrations(**data(terminated=never, truncated=never)).returns.size == 0


def test_arrays_are_converted_where_nothing_is_lost():
    made = Demonstrations(**data(action=np.array([0, 1, 1, 0, 1], np.int8)))
    assert made.obs.dtype == np.float32
    assert made.action.dtype == np.int64
    assert made.reward.dtype == np.float64


def broken(array, index, value):
    array = np.array(array)
    array[index] = value
    return array


MISMATCHES = {
    "empty": (
        {name: data()[name][:0] for name in FIELDS},
        "obs is empty; record an episode or more",
    ),
    "lengths": (
        {"reward": np.zeros(4)},
        r"reward has shape \[4\]; accepted is \[5\]: a row for each of the 5 in obs",
    ),
    "width": ({"obs": np.zeros((5, 3))}, r"obs has shape \[5, 3\]; accepted is \[5, 4\]"),
    "action's shape": (
        {"action": np.zeros((5, 1), int)},
        r"action has shape \[5, 1\]; accepted is \[5\]",
    ),
    "NaN in obs": (
        {"obs": broken(data()["obs"], (3, 2), np.nan)},
        "obs is nan in row 3; accepted are finite numbers: leave out the 1 such rows",
    ),
    "infinite obs": ({"obs": broken(data()["obs"], (0, 0), np.inf)}, "obs is inf in row 0"),
    "NaN in action": (
        {"action": np.full((5, 2), np.nan), "action_space": ACTIONS["box"]},
        "action is nan in row 0; .* leave out the 5 such rows",
    ),
    "action outside": (
        {"action": broken(data()["action"], 2, 2)},
        r"action is 2 in row 2; accepted are actions in Discrete\(2\): give the space",
    ),
    "action below the start": (
        {"action_space": spaces.Discrete(2, start=1)},
        "action is 0 in row 0",
    ),
    "multi-discrete action outside": (
        {"action": np.ones((5, 2, 2), int), "action_space": ACTIONS["multi-discrete"]},
        r"action is \[\[1, 1\], \[1, 1\]\] in row 0",
    ),
    "action beyond the dtype": (
        {"action": np.full((5, 2, 2), 256), "action_space": ACTIONS["multi-binary"]},
        "action has values beyond int8",
    ),
    "fractional actions": (
        {"action": np.zeros(5)},
        "action is of float64; accepted is int64: convert it",
    ),
    "flags": ({"truncated": np.zeros(5)}, "truncated is of float64; accepted is bool"),
    "action space": (
        {"action_space": spaces.Box(0, 255, (2,), np.uint8)},
        "action space .* is not supported",
    ),
    "observation space": (
        {"observation_space": spaces.Text(5)},
        "observation space .* is not supported",
    ),
}
MISMATCHES["multi-discrete action outside"][0]["action"][0] = [[1, 1], [1, 1]]


@pytest.mark.parametrize("name", MISMATCHES)
def test_data_that_do_not_fit_are_named_in_one_line(name):
    changes, message = MISMATCHES[name]
    with pytest.raises(sf.UsageError, match=message) as error:
        Demonstrations(**data(**changes))
    assert "\n" not in str(error.value)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "file.safetensors"
    demonstrations.save(Demonstrations(**data(environment="CartPole-v1")), path)
    return path


def refused(source):
    """The one line that a source is refused with, after its name."""
    with pytest.raises(sf.UsageError) as error:
        demonstrations.load(source)
    name, line = str(error.value).split(": ", 1)
    assert name == str(source)
    assert "\n" not in line
    return line


def test_an_existing_file_is_refused_and_kept(saved):
    before = saved.read_bytes()
    with pytest.raises(sf.UsageError, match=r"file\.safetensors exists; accepted is a new path"):
        demonstrations.save(Demonstrations(**data()), saved)
    assert saved.read_bytes() == before
    with pytest.raises(sf.UsageError, match="is no writable folder; pass another path"):
        demonstrations.save(Demonstrations(**data()), saved / "below")
    assert list(saved.parent.iterdir()) == [saved]


def test_a_save_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(sf.UsageError, match="cannot be made: No space left on device"):
        demonstrations.save(Demonstrations(**data()), tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_what_is_no_file_of_demonstrations_is_a_usage_error(tmp_path):
    accepted = "accepted are a file that 'surefoot record' or demonstrations.save wrote"
    assert refused(tmp_path / "nowhere").startswith(f"no such file; {accepted}")
    assert refused(tmp_path).startswith(f"a folder; {accepted}")
    (tmp_path / "text").write_text("not arrays")
    assert re.match(f"no intact file .*{accepted}", refused(tmp_path / "text"))
    safetensors.numpy.save_file({"obs": np.zeros(3)}, tmp_path / "other")
    assert refused(tmp_path / "other").startswith(f"its format is None; {accepted}")


FORGERIES = {
    "a newer version": ({"format_version": "3"}, "format version is 3; accepted is up to 2: up"),
    "no version": ({"format_version": "one"}, "no intact file of demonstrations"),
    "another format": ({"format": "surefoot agent"}, "its format is 'surefoot agent'"),
    "no JSON": ({"action_space": "Discrete"}, "no intact file of demonstrations"),
    "deep JSON": ({"action_space": "[" * 100_000}, "no intact file of demonstrations"),
    "an unknown space": ({"action_space": '{"type": "os.system"}'}, "no intact file"),
    "an impossible space": (
        {"action_space": '{"type": "Discrete", "n": -1, "start": 0, "dtype": "int64"}'},
        "no intact file",
    ),
    "another space": (
        {"action_space": '{"type": "Discrete", "n": 1, "start": 0, "dtype": "int64"}'},
        "action is 1 in row 1; accepted are actions in Discrete",
    ),
    "an unsupported space": (
        {"action_space": '{"type": "Tuple", "spaces": []}'},
        "action space .* has no part",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_file_whose_metadata_do_not_fit_is_a_usage_error(name, saved):
    changes, message = FORGERIES[name]
    with safetensors.safe_open(saved, framework="numpy") as file:
        metadata = {**file.metadata(), **changes}
    arrays = safetensors.numpy.load_file(saved)
    safetensors.numpy.save_file(arrays, saved, metadata)
    assert re.search(message, refused(saved))


def test_a_file_whose_arrays_do_not_fit_is_a_usage_error(saved):
    with safetensors.safe_open(saved, framework="numpy") as file:
        metadata = file.metadata()
    arrays = safetensors.numpy.load_file(saved)
    safetensors.numpy.save_file({**arrays, "reward": arrays["reward"][1:]}, saved, metadata)
    assert refused(saved).startswith("reward has shape [4]; accepted is [5]")
    safetensors.numpy.save_file({**arrays, "obs": arrays["obs"] * np.nan}, saved, metadata)
    assert refused(saved).startswith("obs is nan in row 0")
    arrays.pop("obs")
    safetensors.numpy.save_file(arrays, saved, metadata)
    assert refused(saved).startswith("no intact file of demonstrations")


def test_a_flipped_byte_of_the_header_gives_demonstrations_or_a_usage_error(saved):
    whole = saved.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    loaded, lines = 0, []
    for i in range(header):
        flipped = bytearray(whole)
        flipped[i] ^= 1 << (i % 8)
        saved.write_bytes(flipped)
        try:
            demonstrations.load(saved)
            loaded += 1
        except sf.UsageError as error:
            lines.append(str(error))
    assert loaded < header / 2
    assert not [line for line in lines if "\n" in line]


def test_a_truncated_file_is_a_usage_error(saved):
    whole = saved.read_bytes()
    for size in range(0, len(whole), 61):
        saved.write_bytes(whole[:size])
        assert refused(saved).startswith("no intact file of demonstrations")


@pytest.fixture
def collect(tmp_path, monkeypatch):
    """Makes a local Minari dataset: two episodes of random actions, the second cut at 5 steps."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    import minari

    def collect(name, env):
        # Minari leaves temporary folders to the garbage collector, which warns.
        with warnings.catch_warnings(action="ignore"):
            seen = _collect(minari.DataCollector(env, record_infos=False), name)
            gc.collect()
        return seen

    return collect


def _collect(collector, name):
    collector.action_space.seed(0)
    seen = []
    for episode, steps in enumerate((10_000, 5)):
        obs, _ = collector.reset(seed=episode)
        for _ in range(steps):
            action = collector.action_space.sample()
            row = Encoding(collector.observation_space)(obs), action
            obs, reward, terminated, truncated, _ = collector.step(action)
            seen.append((*row, reward, terminated, truncated))
            if terminated or truncated:
                break
    # Minari marks an episode that is left in its middle as truncated.
    seen[-1] = (*seen[-1][:4], True)
    collector.create_dataset(name)
    collector.close()
    return seen


MINARI = {
    "CartPole-v1": lambda: gymnasium.make("CartPole-v1"),
    "Pendulum-v1": lambda: gymnasium.make("Pendulum-v1"),
    "nested": lambda: Logging(ACTIONS["multi-discrete"], 9),
    "float64": lambda: Logging(
        ACTIONS["box, float64"], 9, truncates=True, observation_space=spaces.Discrete(4, start=2)
    ),
}


@pytest.mark.parametrize("name", MINARI)
def test_a_minari_dataset_is_read_as_the_environment_gave_it(name, collect):
    env = MINARI[name]()
    seen = collect("test/some-v0", env)
    read = demonstrations.load("minari:test/some-v0")
    assert_rows(read, seen)
    assert read.observation_space == env.observation_space
    assert read.action_space == env.action_space
    assert read.action.dtype == env.action_space.dtype
    assert read.environment == (name if name.endswith("v1") else None)
    assert len(read.returns) == 2


def test_a_damaged_minari_dataset_is_a_usage_error(collect, tmp_path):
    collect("test/some-v0", gymnasium.make("CartPole-v1"))
    folder = tmp_path / "datasets" / "test" / "some-v0" / "data"
    meta = folder / "metadata.json"
    text = meta.read_text()
    content = json.loads(text)
    text_space = {"type": "Text", "max_length": 3, "min_length": 1, "charset": "ab"}
    for changes, message in (
        ({"observation_space": json.dumps(text_space)}, "observation space .* is not supported"),
        ({"total_episodes": 0}, "the dataset is empty"),
        ({"minari_version": "99.0"}, "is no intact Minari dataset"),
        ({"data_format": "none"}, "is no intact Minari dataset"),
        ({"env_spec": "{}"}, "is no intact Minari dataset"),
    ):
        meta.write_text(json.dumps({**content, **changes}))
        with pytest.raises(sf.UsageError, match=f"^minari:test/some-v0:? {message}") as error:
            demonstrations.load("minari:test/some-v0")
        assert "\n" not in str(error.value)
    meta.write_text(text)
    (folder / "main_data.hdf5").write_bytes(b"none")
    with pytest.raises(sf.UsageError, match="is no intact Minari dataset"):
        demonstrations.load("minari:test/some-v0")


@pytest.mark.parametrize("dataset", ["D4RL/pen/human-v2", "no version", ""])
def test_an_unknown_minari_dataset_is_a_usage_error(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    with pytest.raises(sf.UsageError, match="get it with 'minari download") as error:
        demonstrations.load(f"minari:{dataset}")
    assert str(error.value).startswith(f"minari:{dataset} is not among the local datasets")


def test_without_minari_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(sf.UsageError, match=r"pip install 'surefoot\[minari\]'"):
        demonstrations.load("minari:D4RL/pen/human-v2")


def test_the_command_line_records_a_run(cartpole, tmp_path, capsys):
    run = tmp_path / "run"
    cartpole.save(run / "agent")
    assert main(["record", str(run), "--episodes", "3", "--seed", "5"]) == 0
    read = demonstrations.load(run / "demonstrations.safetensors")
    assert_same(read, cartpole.record(3, 5))
    assert capsys.readouterr().out == (
        f"3 episodes, {len(read)} transitions, mean return {read.returns.mean():.1f}: "
        f"{run / 'demonstrations.safetensors'}\n"
    )
    out = tmp_path / "deep" / "other"
    arguments = ["--episodes", "2", "--out", str(out), "--stochastic", "--env", "CartPole-v1"]
    assert main(["record", str(run), *arguments]) == 0
    assert_same(demonstrations.load(out), cartpole.record(2, 1, deterministic=False))
    assert [place.name for place in out.parent.iterdir()] == ["other"]


COMMANDS = {
    "no run": (["record"], "missing argument RUN"),
    "no agent": (["record", "nowhere"], "nowhere is no saved agent"),
    "no episodes": (["record", "run", "--episodes", "0"], "episodes is 0; accepted"),
    "environment": (["record", "run", "--env", "CartPol-v1"], "Did you mean 'CartPole-v1'"),
    "another environment": (["record", "run", "--env", "Pendulum-v1"], "the agent was trained on"),
    "a folder": (["record", "run", "--out", "run"], "run exists; accepted is a new path"),
    "below a file": (["record", "run", "--out", "file/x"], "file is no writable folder"),
    "option": (["record", "run", "--ot", "x"], "unknown option --ot; .* Did you mean --out"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_mistake_on_the_command_line_is_one_line_and_writes_nothing(
    name, cartpole, tmp_path, monkeypatch, capsys
):
    arguments, message = COMMANDS[name]
    monkeypatch.chdir(tmp_path)
    cartpole.save(tmp_path / "run" / "agent")
    (tmp_path / "file").write_text("kept")
    before = sorted(tmp_path.rglob("*"))
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("surefoot: ")
    assert said.err.count("\n") == 1
    assert re.search(message, said.err)
    assert sorted(tmp_path.rglob("*")) == before

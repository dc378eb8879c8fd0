"""Recordings of images, masks, actions of several kinds; and what is cloned from them."""

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium import spaces

import surefoot as sf
from surefoot.agents.demonstrations import Demonstrations, load, save
from surefoot.agents.playing.policy_spec import PolicySpec
from surefoot.core.data.normalization import with_offset
from surefoot.core.networks.architecture import Architecture
from surefoot.core.observation import Observation
from surefoot.envs.device.device_env import DeviceEnv


class Camera(gymnasium.Env):
    """A picture and how much light there is; which half is lit is to be told, where it may be, and
    how brightly."""

    observation_space = spaces.Dict(
        {
            "action_mask": spaces.MultiBinary(3),
            "camera": spaces.Box(0, 255, (8, 9), np.uint8),
            "light": spaces.Box(-np.inf, np.inf, (2,), np.float64),
        }
    )
    action_space = spaces.Discrete(3, start=5)

    def _seen(self):
        self.mask = np.ones(3, np.int8)
        self.mask[self.np_random.integers(3)] = 0
        picture = self.np_random.integers(0, 255, (8, 9), np.uint8)
        light = 1e9 + self.np_random.normal(size=2)
        return {"action_mask": self.mask, "camera": picture, "light": light}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.kept = 0, []
        return self._seen(), {}

    def step(self, action):
        assert self.mask[action - 5]
        self.time += 1
        return self._seen(), 1.0, self.time == 6, False, {}


class Mixed(gymnasium.Env):
    """What is earned says what was done."""

    observation_space = spaces.Box(-1.0, 1.0, (2,))
    action_space = spaces.Dict(
        {
            "amount": spaces.Box(0.0, 4.0, (1,)),
            "kinds": spaces.Tuple([spaces.Discrete(3), spaces.MultiBinary(2)]),
        }
    )

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.time += 1
        seen = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        earned = action["amount"][0] + 10 * action["kinds"][0] + 100 * action["kinds"][1].sum()
        return seen, float(earned), self.time == 5, False, {}


def agent_of(env, network, offset=None):
    """One that has learned nothing."""
    spec = PolicySpec(
        env.observation_space,
        env.action_space,
        Architecture(network, (4,)),
        -0.5,
        False,
        "affine",
        normalize_observations=True,
    )
    normalizer = with_offset(spec.normalizer(), offset)
    return sf.Agent(spec.policy(jax.random.key(0)), normalizer, spec)


@pytest.fixture(scope="module")
def camera():
    return agent_of(Camera, "cnn", offset=np.full(2, 1e9)).record(3, seed=1, env=Camera)


@pytest.fixture(scope="module")
def mixed():
    return agent_of(Mixed, "mlp").record(4, seed=1, env=Mixed)


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def test_images_and_masks_are_recorded_as_they_were_seen(camera):
    assert len(camera) == 18
    assert isinstance(camera.obs, Observation)
    assert camera.obs.seen["camera"].dtype == np.uint8
    assert camera.obs.seen["camera"].shape == (18, 8, 9, 1)
    # A time far from zero keeps its digits.
    light = camera.obs.seen["vector"]
    assert light.dtype == np.float64
    assert np.abs(light - 1e9).max() < 10
    assert len(np.unique(light)) > 30
    assert camera.obs.action_mask.shape == (18, 3)
    assert (camera.obs.action_mask.sum(axis=1) == 2).all()
    assert camera.obs.action_mask[np.arange(18), camera.action - 5].all()


def test_actions_of_several_kinds_are_recorded_as_the_environment_received_them(mixed):
    assert len(mixed) == 20
    kind, flags = mixed.action["kinds"]
    assert (mixed.action["amount"].dtype, kind.dtype, flags.dtype) == (
        np.float32,
        np.int64,
        np.int8,
    )
    earned = mixed.action["amount"][:, 0] + 10 * kind + 100 * flags.sum(axis=1)
    np.testing.assert_allclose(mixed.reward, earned, rtol=1e-6)


@pytest.mark.parametrize("kind", ["camera", "mixed"])
def test_a_file_keeps_them(kind, tmp_path, request):
    recorded = request.getfixturevalue(kind)
    save(recorded, tmp_path / "them.safetensors")
    read = load(tmp_path / "them.safetensors")
    for name in ("obs", "action", "reward", "terminated", "truncated"):
        same(getattr(recorded, name), getattr(read, name))
    assert (read.observation_space, read.action_space) == (
        recorded.observation_space,
        recorded.action_space,
    )


@pytest.mark.parametrize(("kind", "env"), [("camera", Camera), ("mixed", Mixed)])
def test_they_are_cloned(kind, env, tmp_path, request):
    recorded = request.getfixturevalue(kind)
    path = tmp_path / "them.safetensors"
    save(recorded, path)
    agent = sf.train("bc", env, data=path, steps=4 * len(recorded), seed=0, progress=False)
    assert len(agent.evaluate(2).returns) == 2


def changed(recorded, **parts):
    fields = {
        name: getattr(recorded, name)
        for name in ("obs", "action", "reward", "terminated", "truncated")
    }
    return Demonstrations(
        **(fields | parts),
        observation_space=recorded.observation_space,
        action_space=recorded.action_space,
    )


def test_an_action_that_its_mask_excludes_is_refused(camera):
    excluded = np.argmin(camera.obs.action_mask[4]) + 5
    action = camera.action.copy()
    action[4] = excluded
    with pytest.raises(sf.UsageError, match=rf"action is {excluded} in row 4, which the obse"):
        changed(camera, action=action)


def test_parts_that_are_missing_or_do_not_fit_are_refused(camera, mixed):
    with pytest.raises(sf.UsageError, match=r"action is .*; accepted is .*amount.*kinds"):
        changed(mixed, action={"amount": mixed.action["amount"]})
    kinds = mixed.action["kinds"]
    with pytest.raises(sf.UsageError, match=r"action\['kinds'\]\[1\] has shape \[19, 2\]; accep"):
        changed(mixed, action=mixed.action | {"kinds": (kinds[0], kinds[1][1:])})
    with pytest.raises(sf.UsageError, match=r"action\['kinds'\]\[0\] is 3 in row 0; accepted are"):
        changed(mixed, action=mixed.action | {"kinds": (kinds[0] * 0 + 3, kinds[1])})
    with pytest.raises(sf.UsageError, match=r"obs is .*; accepted is .*seen"):
        changed(camera, obs=camera.obs.seen["camera"])


class Recalled:
    """One of two cues is seen first, and is to be named in the fourth step."""

    observation_space = spaces.Box(-1.0, 1.0, (2,))
    action_space = spaces.Discrete(2)

    def initial(self, rng):
        return jax.numpy.stack([jax.random.randint(rng, (), 0, 2), 0])

    def transition(self, state, action, rng):
        return state.at[1].add(1)

    def observation(self, state, rng):
        shown = jax.numpy.where(state[1] == 0, 2 * state[0] - 1, 0)
        return jax.numpy.stack([shown, state[1] == 3]).astype("float32")

    def reward(self, state, action, next_state, rng):
        return ((state[1] == 3) & (action == state[0])).astype("float32")

    def terminal(self, state, rng):
        return state[1] > 3


@pytest.mark.parametrize("segment_length", [0, 2])
def test_a_memory_learns_from_a_recording_what_rows_alone_do_not_tell(segment_length, tmp_path):
    rng = np.random.default_rng(0)
    cue = rng.integers(0, 2, 64)
    obs = np.zeros((64, 4, 2), np.float32)
    obs[:, 0, 0], obs[:, 3, 1] = 2 * cue - 1, 1
    action = rng.integers(0, 2, (64, 4))
    action[:, 3] = cue
    ends = np.tile([False, False, False, True], 64)
    recorded = Demonstrations(
        obs.reshape(-1, 2),
        action.reshape(-1),
        np.zeros(256),
        ends,
        ends & False,
        Recalled.observation_space,
        Recalled.action_space,
    )
    path = tmp_path / "recalled.safetensors"
    save(recorded, path)
    env = DeviceEnv(Recalled(), time_limit=5)
    options = {"data": path, "steps": 256 * 40, "seed": 0, "progress": False, "hidden": (16,)}
    options |= {"minibatch_size": 16, "learning_rate": 0.01}
    agent = sf.train("bc", env, network="gru", segment_length=segment_length, **options)
    assert agent.evaluate(50, env=env).mean == 1.0
    blind = sf.train("bc", env, **options)
    assert blind.evaluate(50, env=env).mean < 0.8

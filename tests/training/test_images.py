"""Images keep their shape and their type from the environment to the network."""

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium import spaces

import surefoot as sf
from surefoot.core.networks import CNN
from surefoot.core.networks.composed import Joined
from surefoot.envs.make import make_host
from surefoot.envs.spaces.encoding import Encoding, image_shape, is_image
from surefoot.runs.options import prepare

SMALL = {"num_envs": 2, "horizon": 16, "steps": 64, "seed": 0, "progress": False}


class Squares(gymnasium.Env):
    """One of two halves of a picture is lit: which one is to be told."""

    observation_space = spaces.Box(0, 255, (8, 9), np.uint8)
    action_space = spaces.Discrete(2)

    def _seen(self):
        self.lit = int(self.np_random.integers(2))
        picture = self.np_random.integers(0, 64, (8, 9), np.uint8)
        picture[4 * self.lit : 4 * self.lit + 4] += 128
        return picture

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self._seen(), {}

    def step(self, action):
        self.time += 1
        return self._seen(), float(action == self.lit), self.time == 6, False, {}


class WithNumbers(Squares):
    """The picture, channels first, beside numbers of which none tells anything."""

    observation_space = spaces.Dict(
        {"camera": spaces.Box(0, 255, (1, 8, 9), np.uint8), "noise": spaces.Box(-5.0, 5.0, (3,))}
    )

    def _seen(self):
        noise = self.np_random.normal(size=3).astype(np.float32)
        return {"camera": super()._seen()[None], "noise": noise}


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((8, 8), np.uint8, (8, 8, 1)),
        ((84, 84, 4), np.uint8, (84, 84, 4)),
        ((4, 84, 84), np.uint8, (84, 84, 4)),
        ((10, 10, 10), bool, (10, 10, 10)),
        ((10, 10, 4), np.float32, (10, 10, 4)),
        ((7, 8), np.uint8, None),
        ((64,), np.uint8, None),
        ((4, 84, 84), np.float64, None),
        ((3, 8, 3), np.float32, None),
        ((8, 8, 8, 8), np.uint8, None),
    ],
)
def test_what_an_image_is(shape, dtype, expected):
    space = spaces.Box(0, 1, shape, dtype)
    assert is_image(space) == (expected is not None)
    if expected is None:
        assert Encoding(space).size == np.prod(shape)
        return
    assert image_shape(space) == expected
    picture = (np.arange(np.prod(shape)).reshape(shape) % 2).astype(dtype)
    encoded = Encoding(space)(picture[None])
    assert encoded.shape == (1, *expected)
    assert encoded.dtype == dtype
    pixel = picture[2, 3] if len(shape) == 2 else picture[2, 3, 0]
    if shape == (4, 84, 84):
        pixel = picture[0, 2, 3]
    assert encoded[0, 2, 3, 0] == pixel


def test_pictures_and_numbers_are_parts():
    env = make_host(WithNumbers, 3)
    obs = env.reset(1)
    assert sorted(obs) == ["camera", "vector"]
    assert obs["camera"].shape == (3, 8, 9, 1)
    assert obs["camera"].dtype == np.uint8
    assert obs["vector"].shape == (3, 3)
    step = env.step(np.zeros(3, int))
    assert step.next_obs["camera"].dtype == np.uint8
    env.close()


def test_an_ends_picture_is_the_true_one():
    env = make_host(Squares, 2)
    env.reset(3)
    pictures = [env.step(np.zeros(2, int)) for _ in range(7)]
    env.close()
    assert pictures[5].terminated.all()
    assert (pictures[5].next_obs != pictures[5].obs).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(pictures[4].next_obs, pictures[4].obs)


@pytest.mark.parametrize(
    ("method", "source"),
    [
        ("a2c", WithNumbers),
        ("acktr", Squares),
        ("cem", Squares),
        pytest.param("trpo", WithNumbers, marks=pytest.mark.slow),
    ],
)
def test_every_method_sees_them(method, source, tmp_path):
    agent = sf.train(method, source, out=tmp_path / "run", **SMALL)
    encoder = agent.policy.network.encoder
    assert type(encoder) is (CNN if source is Squares else Joined)
    again = sf.load(tmp_path / "run")
    env = source()
    obs, _ = env.reset(seed=5)
    np.testing.assert_array_equal(again.predict(obs)[0], agent.predict(obs)[0])
    assert len(again.evaluate(2, env=source).returns) == 2


def test_what_is_joined_has_no_layers_for_kfac():
    with pytest.raises(sf.UsageError, match="K-FAC was asked for Joined"):
        sf.train("acktr", WithNumbers, **SMALL)


def test_a_critic_may_see_what_the_policy_does_not():
    options = SMALL | {"policy_keys": ("noise",), "critic_keys": ("camera",)}
    run = prepare("a2c", WithNumbers, {k: v for k, v in options.items() if k != "progress"})
    rng = np.random.default_rng(0)
    obs = {
        "camera": rng.integers(0, 255, (5, 1, 8, 9), np.uint8),
        "noise": rng.normal(size=(5, 3)).astype(np.float32),
    }
    policy, critic = run.state.policy, run.state.critic
    says = jax.jit(lambda obs: (policy(obs).logits, critic.value(obs)))
    encoded = Encoding(run.spec.observation_space)
    logits, value = says(encoded(obs))
    other, other_value = says(encoded(obs | {"camera": 255 - obs["camera"]}))
    np.testing.assert_array_equal(logits, other)
    assert (value != other_value).all()
    moved, moved_value = says(encoded(obs | {"noise": obs["noise"] + 1}))
    assert (logits != moved).any()
    np.testing.assert_array_equal(value, moved_value)


class Camera(Squares):
    """The picture as the only part of a dict."""

    observation_space = spaces.Dict({"camera": Squares.observation_space})

    def _seen(self):
        return {"camera": super()._seen()}


def test_one_part_may_be_chosen_of_one():
    options = {k: v for k, v in SMALL.items() if k != "progress"}
    agent = prepare("a2c", Camera, options | {"policy_keys": ("camera",)}).agent()
    assert len(agent.evaluate(1, env=Camera).returns) == 1

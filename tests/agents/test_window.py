"""A window shows an evaluation while it is played; where there is none, one line says so."""

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

import surefoot as sf
from surefoot.agents.playing.policy_spec import PolicySpec
from surefoot.agents.video import window
from surefoot.cli.main import main
from surefoot.common.errors import UsageError
from surefoot.core.networks.architecture import Architecture
from surefoot.envs.device.classic import DEVICE_ENVS


def make_agent(env_id):
    env = gymnasium.make(env_id)
    shape = PolicySpec(
        env.observation_space,
        env.action_space,
        Architecture(hidden=(8,)),
        -0.5,
        False,
        "affine",
        False,
    )
    env.close()
    policy = shape.policy(jax.random.key(0))
    return sf.Agent(policy, shape.normalizer(), shape, environment=env_id)


@pytest.fixture(scope="module")
def cartpole():
    return make_agent("CartPole-v1")


@pytest.fixture
def drawn(monkeypatch):
    """The frames that a window shows, which none is opened for."""
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    frames = []
    flip = pygame.display.flip
    monkeypatch.setattr(pygame.display, "flip", lambda: (frames.append(1), flip())[1])
    # As fast as it can be drawn.
    monkeypatch.setitem(gymnasium.envs.classic_control.CartPoleEnv.metadata, "render_fps", 0)
    return frames


def in_a_row(agent, episodes, seed):
    """The returns of the same episodes by hand, in one environment."""
    env, returns = gymnasium.make("CartPole-v1"), []
    obs, _ = env.reset(seed=seed)
    for _ in range(episodes):
        total, ended = 0.0, False
        while not ended:
            obs, reward, terminated, truncated, _ = env.step(agent.predict(obs)[0])
            total, ended = total + reward, terminated or truncated
        returns.append(total)
        obs, _ = env.reset()
    return returns


@pytest.mark.parametrize("env", [None, DEVICE_ENVS["CartPole-v1"]])
def test_every_step_of_every_episode_is_shown(cartpole, drawn, env):
    result = cartpole.evaluate(3, seed=4, render=True, env=env)
    np.testing.assert_array_equal(result.returns, in_a_row(cartpole, 3, 4))
    assert len(drawn) >= result.lengths.sum() + 3


def test_the_command_shows_them(cartpole, drawn, tmp_path, capsys):
    cartpole.save(tmp_path / "agent")
    assert main(["evaluate", str(tmp_path / "agent"), "--episodes", "1", "--render"]) == 0
    assert "1 episode: return" in capsys.readouterr().out
    assert drawn


class Blind(gymnasium.Env):
    metadata = {"render_modes": []}
    observation_space = gymnasium.spaces.Box(-1, 1, (4,))
    action_space = gymnasium.spaces.Discrete(2)
    render_mode = None

    def reset(self, seed=None, options=None):
        return np.zeros(4, np.float32), {}


MISTAKES = {
    "no display": ({}, {"SDL_VIDEODRIVER": None}, "there is no display for a window"),
    "no such driver": ({}, {"SDL_VIDEODRIVER": "nothing"}, "opens no window here"),
    "a vector environment": (
        {"env": SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")])},
        {},
        "a window of a vector environment cannot be made",
    ),
    "made without a window": ({"env": Blind}, {}, "accepted for a window is an environment"),
    "a device environment of one's own": (
        {"env": sf.DeviceEnv(DEVICE_ENVS["CartPole-v1"].env, time_limit=9, name="Mine")},
        {},
        "accepted for a window are CartPole-v1",
    ),
    "a video, too": ({"video": "out.mp4"}, {}, "render and video; accepted is one of them"),
    "no episode": ({"episodes": 0}, {}, "episodes is 0"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_cannot_be_shown_is_one_line(mistake, cartpole, monkeypatch, tmp_path):
    options, variables, message = MISTAKES[mistake]
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    for name, value in {"SDL_VIDEODRIVER": "dummy", **variables}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=message) as error:
        cartpole.evaluate(**{"episodes": 1, "render": True, **options})
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_an_environment_without_frames_is_refused(cartpole, monkeypatch):
    monkeypatch.setattr(window, "has_display", lambda: True)
    gymnasium.register("Blind-v0", entry_point=Blind)
    try:
        with pytest.raises(UsageError, match=r"draws no frames: its render modes are \[\]"):
            cartpole.evaluate(1, env="Blind-v0", render=True)
    finally:
        del gymnasium.registry["Blind-v0"]

"""Videos of evaluations: they show the episodes that were evaluated, and change nothing."""

import contextlib
import importlib.util
import io
import os
import re
import subprocess

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import surefoot as sf
from surefoot.agents.playing.policy_spec import PolicySpec
from surefoot.agents.video import opengl, video_recorder
from surefoot.agents.video.encoder import Encoder, find_ffmpeg
from surefoot.cli.main import main
from surefoot.core.networks.architecture import Architecture
from surefoot.envs.device.classic import DEVICE_ENVS, CartPole


def make_agent(env_id, **options):
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
    return sf.Agent(shape.policy(jax.random.key(0)), shape.normalizer(), shape, **options)


@pytest.fixture(scope="module")
def cartpole():
    return make_agent("CartPole-v1", environment="CartPole-v1")


def decoded(path):
    """(width and height, frames a second, frames)."""
    command = [find_ffmpeg(), "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]
    ran = subprocess.run(command, capture_output=True, check=True)
    told = re.search(r"Video: h264.*?, (\d+)x(\d+).*?, ([\d.]+) fps", ran.stderr.decode())
    width, height = int(told[1]), int(told[2])
    frames = np.frombuffer(ran.stdout, np.uint8).reshape(-1, height, width, 3)
    return (width, height), float(told[3]), frames


def test_the_video_shows_the_first_episodes_and_changes_no_return(cartpole, tmp_path):
    path = tmp_path / "new" / "out.mp4"
    plain = cartpole.evaluate(20, seed=4)
    filmed = cartpole.evaluate(20, seed=4, video=path, video_episodes=3)
    np.testing.assert_array_equal(filmed.returns, plain.returns)
    np.testing.assert_array_equal(filmed.lengths, plain.lengths)
    assert [p.name for p in path.parent.iterdir()] == ["out.mp4"]

    # The same episodes by hand: those of the sub-environments with seeds 4, 5 and 6.
    env = gymnasium.make("CartPole-v1", render_mode="rgb_array")
    wanted = []
    for seed in (4, 5, 6):
        obs, ended = env.reset(seed=seed)[0], False
        wanted.append(env.render())
        while not ended:
            obs, _, ended, _, _ = env.step(cartpole.predict(obs)[0])
            wanted.append(env.render())
    env.close()
    size, fps, frames = decoded(path)
    assert (size, fps) == ((600, 400), 50.0)
    assert len(frames) == len(wanted)
    for frame, right in zip(frames, wanted, strict=True):
        assert np.abs(frame.astype(int) - right).mean() < 1.0
    # Another frame is farther off: the comparison above can tell them apart.
    assert np.abs(frames[0].astype(int) - wanted[-1]).mean() > 1.0


def test_a_second_episode_follows_the_first_of_its_environment(cartpole):
    actions = video_recorder.ActionLog(2, episodes=5, filmed=3)
    # Two environments play 2 and 3 episodes: the second's first one is the third.
    assert [len(episodes) for episodes in actions.episodes] == [2, 1]


def test_one_environments_episodes_are_filmed_one_after_another(tmp_path, monkeypatch):
    agent = make_agent("CartPole-v1", environment=lambda: quick())
    # One sub-environment has to play them all.
    monkeypatch.setattr("surefoot.agents.agent.opened", one_at_a_time)
    result = agent.evaluate(3, seed=0, video=tmp_path / "a.mp4", video_episodes=3)
    _, _, frames = decoded(tmp_path / "a.mp4")
    assert len(frames) == result.lengths.sum() + 3


def quick(steps=6, **options):
    options = {"render_mode": "rgb_array", **options}
    return gymnasium.make("CartPole-v1", max_episode_steps=steps, **options)


@contextlib.contextmanager
def one_at_a_time(source, *spaces, **options):
    with contextlib.closing(video_recorder.make_host(source, 1)) as host:
        yield host


def test_an_agent_of_the_device_is_filmed_on_gymnasiums(tmp_path):
    agent = make_agent("CartPole-v1", environment=DEVICE_ENVS["CartPole-v1"])
    plain = agent.evaluate(3)
    filmed = agent.evaluate(3, video=tmp_path / "a.mp4")
    np.testing.assert_array_equal(filmed.returns, plain.returns)
    size, _, frames = decoded(tmp_path / "a.mp4")
    assert size == (600, 400)
    assert len(frames) > 2


class Drawing(gymnasium.Wrapper):
    """CartPole with other pictures, or other manners."""

    def __init__(self, picture=None, noisy=False):
        super().__init__(quick())
        self.picture, self.noisy, self.drawn = picture, noisy, 0

    def step(self, action):
        obs, reward, *rest = super().step(action)
        return obs, reward + (np.random.random() if self.noisy else 0), *rest

    def render(self):
        self.drawn += 1
        return self.picture(self.drawn) if self.picture else super().render()


def gray(height, width):
    return np.full((height, width, 3), 128, np.uint8)


def vector():
    return SyncVectorEnv([quick], autoreset_mode=AutoresetMode.SAME_STEP)


def of_ones_own():
    return sf.DeviceEnv(CartPole(), time_limit=5, name="Own")


MISTAKES = {
    "exists": ({"video": "there.mp4"}, "exists; accepted is a new path for the video"),
    "suffix": ({"video": "a.avi"}, r"ends in '\.avi'; accepted for a video is \.mp4"),
    "episodes": ({"video_episodes": 3}, "video episodes is 3; accepted is .* from 1 to .* 2"),
    "none": ({"video_episodes": 0}, "video_episodes is 0"),
    "vector": ({"env": vector}, "a video of a vector environment cannot be made: pass env="),
    "device": ({"env": of_ones_own}, "Own draws no frames; accepted for a video are CartPole"),
    "mode": ({"env": lambda: lambda: quick(render_mode=None)}, "render mode None; accepted"),
    "no array": ({"env": lambda: lambda: Drawing(lambda i: [1])}, "draws list; accepted"),
    "gray": ({"env": lambda: lambda: Drawing(lambda i: gray(4, 4)[..., 0])}, r"draws shape \(4, 4"),
    "floats": ({"env": lambda: lambda: Drawing(lambda i: gray(4, 4) / 2)}, "frames of float64"),
    "sizes": (
        {"env": lambda: lambda: Drawing(lambda i: gray(16, 16 + 2 * (i > 3)))},
        r"frames of \(16, 18, 3\) after some of \(16, 16, 3\)",
    ),
    "noise": ({"env": lambda: lambda: Drawing(noisy=True)}, "with the same seed and actions"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_cannot_be_filmed_is_one_line_and_leaves_nothing(mistake, cartpole, tmp_path):
    options, message = MISTAKES[mistake]
    options = {"video": "new/a.mp4", **options}
    (tmp_path / "there.mp4").write_text("x")
    options["video"] = tmp_path / options["video"]
    if "env" in options:
        options["env"] = options["env"]()
    with pytest.raises(sf.UsageError, match=message) as raised:
        cartpole.evaluate(2, **options)
    assert "\n" not in str(raised.value)
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["there.mp4"]


def test_an_environment_without_frames_is_refused(cartpole, tmp_path):
    gymnasium.register("Blind-v0", entry_point=f"{__name__}:Blind")
    try:
        with pytest.raises(sf.UsageError, match=r"its render modes are \[\], and a video needs"):
            cartpole.evaluate(1, env="Blind-v0", video=tmp_path / "a.mp4")
    finally:
        del gymnasium.registry["Blind-v0"]


class Blind(gymnasium.Env):
    metadata = {"render_modes": []}


def test_missing_packages_are_named(cartpole, tmp_path, monkeypatch):
    def undrawn(*_):
        raise gymnasium.error.DependencyNotInstalled("pygame is not installed")

    with monkeypatch.context() as patch:
        patch.setattr("surefoot.agents.video.renderer.Renderer.frame", undrawn)
        with pytest.raises(sf.UsageError, match=r"pygame.*pip install 'surefoot\[video\]'"):
            cartpole.evaluate(1, video=tmp_path / "a.mp4")
    find = importlib.util.find_spec
    with monkeypatch.context() as patch:
        patch.setattr(
            importlib.util,
            "find_spec",
            lambda name, *rest: None if name == "imageio_ffmpeg" else find(name, *rest),
        )
        with pytest.raises(sf.UsageError, match=r"imageio-ffmpeg: pip install 'surefoot\[video\]'"):
            cartpole.evaluate(1, video=tmp_path / "a.mp4")


def test_odd_sizes_and_a_frame_rate_that_is_no_integer(tmp_path):
    pictures = [gray(33, 47) + np.uint8(20 * i) for i in range(4)]
    with Encoder(tmp_path / "a.part", pictures[0], fps=12.5) as encoder:
        for picture in pictures:
            encoder.write(picture)
    size, fps, frames = decoded(tmp_path / "a.part")
    assert (size, fps, len(frames)) == ((48, 34), 12.5, 4)


def write_to_nowhere(path):
    with Encoder(path, gray(4, 4), fps=5) as encoder:
        for _ in range(10_000):
            encoder.write(gray(4, 4))


def test_what_ffmpeg_says_is_told(tmp_path):
    with pytest.raises(OSError, match=r"ffmpeg: .*No such file"):
        write_to_nowhere(tmp_path / "none" / "a.mp4")


def test_the_command_line_says_where_the_video_is(cartpole, tmp_path):
    cartpole.save(tmp_path / "agent")
    told = []
    for more in ([], ["--video", str(tmp_path / "a.mp4"), "--video-episodes", "2"]):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            assert main(["evaluate", str(tmp_path / "agent"), "--episodes", "2", *more]) == 0
        told.append(out.getvalue())
    assert told[1] == f"{told[0]}video: {tmp_path / 'a.mp4'}\n"


def noisy(render_mode=None):
    return Drawing(noisy=True)


def test_a_refused_video_loses_no_evaluation(cartpole, tmp_path):
    gymnasium.register("Noisy-v0", entry_point=noisy)
    cartpole.save(tmp_path / "agent")
    out, err = io.StringIO(), io.StringIO()
    arguments = ["--env", "Noisy-v0", "--episodes", "2", "--video", str(tmp_path / "a.mp4")]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            assert main(["evaluate", str(tmp_path / "agent"), *arguments]) == 2
    finally:
        del gymnasium.registry["Noisy-v0"]
    assert re.fullmatch(r"2 episodes: return .*\n", out.getvalue())
    assert re.fullmatch(r"surefoot: .* with the same seed and actions: .*\n", err.getvalue())
    assert [p.name for p in tmp_path.iterdir()] == ["agent"]


def test_where_nothing_draws_the_line_says_what_to_install(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(opengl, "_what_fails", lambda name: f"no {name}")
    with pytest.raises(
        sf.UsageError, match=r"egl: no egl; osmesa: no osmesa.*libosmesa6.*MUJOCO_GL"
    ):
        opengl.choose_opengl()
    monkeypatch.setenv("MUJOCO_GL", "egl")
    with pytest.raises(sf.UsageError, match=r"\(egl: no egl\).*unset MUJOCO_GL"):
        opengl.choose_opengl()


def test_the_first_that_draws_is_taken(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(opengl, "_what_fails", lambda name: None if name == "osmesa" else "no")
    opengl.choose_opengl()
    assert os.environ["MUJOCO_GL"] == "osmesa"


def test_what_draws_nothing_is_found_out():
    reason = opengl._what_fails("nonsense")
    assert reason is not None
    assert "nonsense" in reason


def test_mujoco_draws_without_a_display(tmp_path, monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    # Undone at the end, with what is chosen.
    monkeypatch.setenv("MUJOCO_GL", "")
    try:
        opengl.choose_opengl()
    except sf.UsageError as error:
        if os.environ.get("SUREFOOT_REQUIRE_OPENGL"):
            pytest.fail(f"SUREFOOT_REQUIRE_OPENGL is set, and there is none: {error}")
        pytest.skip(f"no OpenGL without a display: {error}")
    agent = make_agent("HalfCheetah-v5")
    short = {"max_episode_steps": 4, "width": 64, "height": 64}
    agent.evaluate(
        1,
        env=lambda: gymnasium.make("HalfCheetah-v5", render_mode="rgb_array", **short),
        video=tmp_path / "a.mp4",
    )
    _, fps, frames = decoded(tmp_path / "a.mp4")
    assert (fps, len(frames)) == (20.0, 5)
    assert np.std(frames[-1]) > 10  # No even surface.

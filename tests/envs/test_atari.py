"""Atari games against Gymnasium's wrappers by hand, and how a game is put back."""

import functools
import importlib.util
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

import surefoot as sf
from surefoot.common.settings import RunSettings
from surefoot.envs.env_ids import check_env_id, list_env_ids, preprocessed
from surefoot.envs.host.atari import (
    MakeAtari,
    Preprocessing,
    check_settings,
    game_of,
    gymnasium_id,
)
from surefoot.envs.host.episode_history import EpisodeHistoryWrapper
from surefoot.envs.make import make_groups, make_host
from surefoot.envs.spaces.encoding import Encoding

pytest.importorskip("ale_py")
pytest.importorskip("cv2")

BREAKOUT = "ALE/Breakout-v5"


def by_hand(env_id, told):
    """The game as Gymnasium's documentation makes it."""
    check_env_id(env_id)
    sticky = told.repeat_action_probability
    game = gymnasium.make(env_id, frameskip=1, repeat_action_probability=sticky)
    seen = AtariPreprocessing(
        game, noop_max=told.noop_max, frame_skip=told.frame_skip, screen_size=told.screen_size
    )
    return FrameStackObservation(seen, told.frame_stack)


@pytest.mark.parametrize(
    "told", [Preprocessing(), Preprocessing(3, 2, 20, 3, 0.0, True)], ids=["default", "other"]
)
def test_a_game_is_seen_as_through_gymnasiums_wrappers(told):
    ours, theirs = MakeAtari(BREAKOUT, told)(), by_hand(BREAKOUT, told)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    rng = np.random.default_rng(0)
    for seed in (7, None):
        seen, expected = ours.reset(seed=seed)[0], theirs.reset(seed=seed)[0]
        np.testing.assert_array_equal(seen, expected)
        for _ in range(60):
            action = rng.integers(4)
            (seen, *ours_told), (expected, *theirs_told) = ours.step(action), theirs.step(action)
            np.testing.assert_array_equal(seen, expected)
            assert ours_told[:3] == theirs_told[:3]
    size = told.screen_size
    assert Encoding(ours.observation_space).spec.shape == (size, size, told.frame_stack)
    assert ours.metadata["render_fps"] == 60 / told.frame_skip


def test_an_id_alone_has_the_defaults_and_a_callable_is_as_it_is():
    env = make_host(BREAKOUT, 1)
    assert env.observation_space.shape == (4, 84, 84)
    assert env.observation_space.dtype == np.uint8
    assert not env.lives
    own = functools.partial(gymnasium.make, BREAKOUT)
    assert preprocessed(own, Preprocessing()) is own
    assert make_host(own, 1).observation_space.shape == (210, 160, 3)


def test_the_settings_are_those_of_a_run():
    names = Preprocessing._fields
    assert Preprocessing.of(RunSettings()) == Preprocessing()
    other = {"noop_max": 1, "frame_skip": 2, "screen_size": 20, "frame_stack": 3}
    other |= {"repeat_action_probability": 0.5, "terminal_on_life_loss": True}
    assert Preprocessing.of(RunSettings(**other))._asdict() == other
    # EnvPool's names for the same, and nothing that would change lives or rewards there.
    pool = Preprocessing(**other).of_pool()
    assert pool == {
        "noop_max": 1,
        "frame_skip": 2,
        "img_height": 20,
        "img_width": 20,
        "stack_num": 3,
        "repeat_action_probability": 0.5,
        "max_episode_steps": 54_000,
        "use_fire_reset": False,
    }
    check_settings(BREAKOUT, RunSettings(**other))
    for name in names:
        with pytest.raises(sf.UsageError, match=f"{name} is .*'CartPole-v1', which is no Atari"):
            check_settings("CartPole-v1", RunSettings(**{name: other[name]}))


def test_a_life_is_lost_where_fewer_are_left_and_the_game_goes_on():
    for lives_end in (True, False):
        told = Preprocessing(screen_size=16, frame_stack=1, terminal_on_life_loss=lives_end)
        env, rng = MakeAtari(BREAKOUT, told)(), np.random.default_rng(1)
        game = game_of(env)
        _, info = env.reset(seed=0)
        assert not game.life_lost
        lost, lives, over = 0, info["lives"], False
        while not over:
            *_, over, _, info = env.step(rng.integers(4))
            fewer = info["lives"] < lives and info["lives"] > 0
            assert game.life_lost == (fewer and lives_end and not over)
            lost += game.life_lost
            lives = info["lives"]
        assert lost == (4 if lives_end else 0)
        env.reset()
        assert not game.life_lost


def test_an_episode_is_played_again_with_what_ale_draws():
    """Frames repeat actions at random, and a reset draws, from a generator that is ALE's own."""
    told = Preprocessing(screen_size=16, frame_stack=2)
    here, there = (EpisodeHistoryWrapper(MakeAtari(BREAKOUT, told)()) for _ in "ab")
    rng = np.random.default_rng(2)
    here.reset(seed=0)
    there.reset(seed=99)
    ends = []
    while len(ends) < 2:
        obs, reward, terminated, truncated, _ = here.step(rng.integers(4))
        if terminated or truncated:
            ends.append(here.reset())
    earned = 0.0
    for _ in range(50):
        obs, reward, *_ = here.step(rng.integers(4))
        earned += reward
    history = here.mark()()
    assert history.seed is None
    found, again, same = there.resimulate(history)
    assert same
    assert again == earned
    np.testing.assert_array_equal(found, obs)
    # Another place of the generator is another episode.
    rng_only = {**history.generator, "ale": here.mark()().now["ale"]}
    assert not there.resimulate(history._replace(generator=rng_only))[2]


def test_a_maker_can_be_sent_to_another_process():
    make = pickle.loads(pickle.dumps(MakeAtari("ALE/Pong-v5", Preprocessing(frame_stack=2))))
    assert make().observation_space.shape == (2, 84, 84)
    assert repr(make) == "'ALE/Pong-v5'"


def test_games_are_listed_by_one_name():
    ids = list_env_ids()
    assert {"ALE/Pong-v5", "ALE/Breakout-v5"} < set(ids)
    assert not [name for name in ids if "NoFrameskip" in name]


@pytest.mark.parametrize(
    ("env_id", "message"),
    [
        ("ALE/Pog-v5", "is not registered with Gymnasium.*Did you mean 'ALE/Pong-v5'"),
        ("ALE/Pong", "Pong"),
    ],
)
def test_a_wrong_id_is_one_line(env_id, message):
    for use in (lambda: make_host(env_id, 1), lambda: sf.train("a2c", env_id, preset="atari")):
        with pytest.raises(sf.UsageError, match=message) as error:
            use()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(("module", "package"), [("ale_py", "ale-py"), ("cv2", "opencv-python-h")])
def test_without_a_package_the_line_says_what_to_install(module, package, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == module else found(name)
    )
    message = rf"'ALE/Pong-v5' needs the package '{package}.*: pip install 'surefoot\[atari\]'"
    with pytest.raises(sf.UsageError, match=message):
        sf.train("ppo_clip", "ALE/Pong-v5", preset="atari")


def test_envpools_names_are_gymnasiums_where_it_has_them():
    assert gymnasium_id("Pong-v5", "envpool") == "ALE/Pong-v5"
    for source, backend in (
        ("Pong-v5", "host"),
        ("ALE/Pong-v5", "envpool"),
        ("CartPole-v1", "envpool"),
        ("Pog-v5", "envpool"),
    ):
        assert gymnasium_id(source, backend) == source


def test_a_pool_sees_what_gymnasium_does():
    pytest.importorskip("envpool")
    told = Preprocessing(screen_size=20, frame_stack=3, terminal_on_life_loss=True)
    options = {"backend": "envpool", "vectorization": "sync", "env_threads": 1}
    (pool,) = make_groups(MakeAtari("ALE/Pong-v5", told), 2, **options)
    env = MakeAtari("ALE/Pong-v5", told)()
    assert pool.name == "ALE/Pong-v5"
    assert pool.observation_space.shape == env.observation_space.shape == (3, 20, 20)
    assert pool.action_space == env.action_space
    assert pool.lives
    assert pool.reset(0).shape == (2, 20, 20, 3)
    with pytest.raises(sf.UsageError, match="noop_max is 0 with EnvPool; accepted is 1 or more"):
        make_groups(MakeAtari("ALE/Pong-v5", told._replace(noop_max=0)), 2, **options)
    (plain,) = make_groups("ALE/Pong-v5", 1, **options)
    assert plain.reset(0).shape == (1, 84, 84, 4)
    assert not plain.lives

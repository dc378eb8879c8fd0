"""EnvPool behind the interface of the host's environments."""

import gymnasium
import jax
import numpy as np
import pytest
from scipy.stats import ks_2samp

import surefoot as sf
from surefoot.agents.playing.episodes import Actor, play_on_host
from surefoot.agents.playing.evaluation import evaluate
from surefoot.envs.host.envpool import make_pool
from surefoot.envs.make import make_groups, make_host
from surefoot.runs.options import prepare

pytest.importorskip("envpool")


def test_its_spaces_are_gymnasiums():
    for env_id in ("HalfCheetah-v5", "CartPole-v1"):
        pool, env = make_pool(env_id, 1, threads=1), gymnasium.make(env_id)
        assert pool.action_space == env.action_space
        assert pool.observation_space.shape == env.observation_space.shape
        env.close()


def test_a_seed_makes_the_episodes_and_each_environment_has_its_own():
    pool = make_pool("CartPole-v1", 3, threads=1)
    first = pool.reset(7)
    assert first.dtype == np.float32
    assert len(np.unique(first[:, 0])) == 3
    np.testing.assert_array_equal(pool.reset(7), first)
    np.testing.assert_array_equal(make_pool("CartPole-v1", 2, threads=1).reset(8), first[1:])
    assert (pool.reset(None) != first).all()
    assert (make_pool("CartPole-v1", 3, threads=1).reset(None) != first).all()
    # The last of the 32-bit seeds is followed by the first.
    make_pool("CartPole-v1", 2, threads=1).reset(2**31 - 1)


def test_the_row_after_an_end_is_no_transition():
    pool = make_pool("CartPole-v1", 2, threads=1)
    pool.reset(0)
    rows = [pool.step(np.ones(2, np.int32)) for _ in range(40)]
    done = np.array([row.terminated | row.truncated for row in rows])
    valid = np.array([row.valid for row in rows])
    assert done.sum() > 4
    np.testing.assert_array_equal(valid[1:], ~done[:-1])
    after = [row for row, before in zip(rows[1:], done, strict=False) if before[0]]
    for row in after:
        assert np.abs(row.obs[0]).max() < 0.05  # CartPole's start
        assert row.reward[0] == 0
    assert [row.terminated[0] for row in rows if row.terminated[0]]


def returns_of(env, size, episodes):
    """Returns of a fixed random policy, different in every dimension of the observation."""
    weights = np.random.default_rng(5).normal(size=(env.observation_space.shape[0], size))

    def act(obs, starts, memory, key):
        action = np.tanh(obs @ weights / 3) if size > 1 else (obs @ weights)[:, 0] > 0
        return action.astype(env.action_space.dtype), None

    return evaluate(Actor(lambda count: None, act), env, episodes=episodes, seed=3).returns


@pytest.mark.parametrize(("env_id", "size"), [("CartPole-v1", 1), ("Hopper-v5", 3)])
def test_returns_are_distributed_as_gymnasiums(env_id, size):
    assert_alike(env_id, size)


@pytest.mark.slow
def test_returns_are_distributed_as_gymnasiums_on_long_episodes():
    assert_alike("HalfCheetah-v5", 6)


def assert_alike(env_id, size, episodes=200):
    pool, env = make_pool(env_id, 8, threads=1), make_host(env_id, 8)
    ours, theirs = (returns_of(e, size, episodes) for e in (pool, env))
    assert len(ours) == len(theirs) == episodes
    assert ks_2samp(ours, theirs).pvalue > 0.01
    spread = np.hypot(ours.std(), theirs.std()) / episodes**0.5
    assert abs(ours.mean() - theirs.mean()) < 3 * spread
    # The comparison would see rewards that are a fifth off.
    assert 3 * spread < 0.2 * abs(theirs.mean())
    env.close()


@pytest.mark.parametrize(
    ("algorithm", "given"),
    [("reinforce", {"baseline": False}), pytest.param("trpo", {}, marks=pytest.mark.slow)],
)
def test_training_is_the_same_every_time_and_the_agent_plays_on_gymnasium(algorithm, given):
    options = {"backend": "envpool", "num_envs": 5, "horizon": 32, "steps": 5 * 32 * 4}
    runs = []
    for _ in "ab":
        run = prepare(algorithm, "CartPole-v1", {**options, "hidden": (8,), **given})
        told = list(run.iterations())
        runs.append((jax.tree.leaves(run.state.policy), [row.metrics for row in told]))
    for a, b in zip(runs[0][0], runs[1][0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert runs[0][1] == runs[1][1]
    # The rows of resets are not charged.
    assert told[-1].steps < run.steps
    assert told[-1].steps == sum(row.metrics["valid_rows"] for row in told)
    assert run.agent().evaluate(2).returns.shape == (2,)


def test_it_is_played_like_any_other():
    pool = make_pool("CartPole-v1", 2, threads=1)
    actor = Actor(lambda count: None, lambda obs, starts, memory, key: (np.ones(2), None))
    steps = list(play_on_host(actor, pool, episodes=4, seed=1))
    ends = sum((step.terminated & step.counts).sum() for step in steps)
    assert ends == 4


@pytest.mark.parametrize(
    ("env", "options", "message"),
    [
        ("CartPol-v1", {}, "none of EnvPool's .*--backend host. Did you mean 'CartPole-v1'"),
        ("Pong-v5", {}, "EnvPool's alone, and a trained agent plays on Gymnasium's"),
        (lambda: None, {}, "with backend 'envpool'; accepted is an id that EnvPool knows"),
        ("CartPole-v1", {"vectorization": "async"}, "pass --env-threads instead"),
    ],
)
def test_a_mistake_is_one_line(env, options, message):
    options = {"vectorization": "sync", "env_threads": 0, **options}
    with pytest.raises(sf.UsageError, match=message) as error:
        make_groups(env, 2, backend="envpool", **options)
    assert "\n" not in str(error.value)

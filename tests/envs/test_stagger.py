"""Copies out of phase: where first episodes are cut, on every backend, and what is left alone."""

import contextlib
import functools

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv
from gymnasium.wrappers import TimeLimit
from scipy import stats

import surefoot as sf
from support.runs import untimed
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.host.stagger import first_limit, time_limit
from surefoot.envs.make import make_groups, make_host

SEED, COPIES, LIMIT = 5, 6, 40
HOST = ["sync", "thread", "async"]


class Steady(gymnasium.Env):
    """Pays its number of steps, and observes (the reset's number, steps); ends after `ends`."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, ends=None):
        self.ends, self.resets, self.steps = ends, -1, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.resets, self.steps = self.resets + 1, 0
        return self._obs(), {}

    def step(self, action):
        self.steps += 1
        return self._obs(), float(self.steps), self.steps == self.ends, False, {}

    def _obs(self):
        return np.array([self.resets, self.steps], np.float32)


def limited(ends=None):
    return TimeLimit(Steady(ends), LIMIT)


class Device:
    """`Steady` in JAX."""

    observation_space, action_space = Steady.observation_space, Steady.action_space

    def initial(self, rng):
        return jnp.zeros(())

    def transition(self, state, action, rng):
        return state + 1

    def observation(self, state, rng):
        return jnp.stack([jnp.zeros(()), state])

    def reward(self, state, action, next_state, rng):
        return next_state

    def terminal(self, state, rng):
        return False


def played(vectorization, steps=3 * LIMIT, source=limited, stagger=True):
    """What `steps` steps of all copies returned, [T, N] arrays by name."""
    groups = make_groups(
        source,
        COPIES,
        backend="host",
        vectorization=vectorization,
        env_threads=0,
        stagger=stagger,
    )
    told, before = [[] for _ in groups], 0
    for group, its in zip(groups, told, strict=True):
        group.reset(SEED + before)
        before += group.num_envs
        for _ in range(steps):
            its.append(group.step(np.zeros((group.num_envs, 1), np.float32)))
        group.close()
    names = ("obs", "next_obs", "terminated", "truncated", "valid", "staggered")
    return {
        name: np.concatenate([[getattr(row, name) for row in its] for its in told], axis=1)
        for name in names
    }


def test_first_limits_are_uniform_over_the_time_limit():
    drawn = np.array([first_limit(seed, LIMIT) for seed in range(8000)])
    counts = np.bincount(drawn, minlength=LIMIT + 1)
    assert counts[0] == 0
    assert len(counts) == LIMIT + 1
    assert stats.chisquare(counts[1:]).pvalue > 0.01
    # Neighboring seeds, which copies have, know nothing of each other.
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.05


@pytest.mark.parametrize(
    ("make", "limit"),
    [
        (lambda: gymnasium.make("Pendulum-v1"), 200),
        (lambda: gymnasium.make("Pendulum-v1", max_episode_steps=30), 30),
        (lambda: TimeLimit(gymnasium.make("Pendulum-v1"), 50), 50),
        (lambda: TimeLimit(gymnasium.make("Pendulum-v1"), 500), 200),
        (limited, LIMIT),
        (Steady, None),
    ],
)
def test_the_time_limit_is_found_wherever_it_is(make, limit):
    assert time_limit(make()) == limit


@pytest.mark.parametrize("vectorization", HOST)
def test_the_first_episode_of_a_copy_is_cut_where_its_seed_says(vectorization):
    seen = played(vectorization)
    expected = [first_limit(SEED + i, LIMIT) for i in range(COPIES)]
    assert len(set(expected)) > 3
    assert not seen["terminated"].any()
    assert seen["valid"].all()
    for i, limit in enumerate(expected):
        ends = np.flatnonzero(seen["truncated"][:, i]) + 1
        np.testing.assert_array_equal(ends, np.arange(limit, 3 * LIMIT + 1, LIMIT))
        cut = np.flatnonzero(seen["staggered"][:, i]) + 1
        np.testing.assert_array_equal(cut, [limit] if limit < LIMIT else [])
        # The true last observation is what the bootstrap needs; the next action sees the reset.
        np.testing.assert_array_equal(seen["next_obs"][limit - 1, i], [0, limit])
        np.testing.assert_array_equal(seen["obs"][limit - 1, i], [1, 0])


def test_phases_are_spread_over_a_batch_from_the_first_limit_on():
    """At any step, copies of a task of fixed length are at as many ages as they are many."""
    ages = played("sync")["obs"][..., 1]
    for t in (LIMIT, LIMIT + 7, 2 * LIMIT):
        assert len(set(ages[t])) >= COPIES - 1
        assert np.ptp(ages[t]) > LIMIT / 2
    in_step = played("sync", stagger=False)["obs"][..., 1]
    assert (np.ptp(in_step, axis=1) == 0).all()


def test_an_episode_that_ends_by_itself_is_not_cut_and_the_second_one_is_whole():
    ends = 3
    seen = played("sync", source=functools.partial(limited, ends))
    early = [i for i in range(COPIES) if first_limit(SEED + i, LIMIT) < ends]
    others = [i for i in range(COPIES) if i not in early]
    assert others
    assert not seen["staggered"][:, others].any()
    assert (seen["terminated"][:, others].sum(axis=0) == 3 * LIMIT // ends).all()


@pytest.mark.parametrize("source", [Steady, None])
def test_without_a_known_limit_and_in_vector_environments_nothing_is_cut(source):
    if source is None:
        source = SyncVectorEnv([limited] * COPIES, autoreset_mode="SameStep")
    seen = played("sync", source=source)
    cut = seen["truncated"][: LIMIT - 1]
    assert not cut.any()


def test_a_pools_first_episodes_are_cut_and_the_copies_reset():
    pytest.importorskip("envpool")
    kwargs = {"backend": "envpool", "vectorization": "sync", "env_threads": 1}
    (pool,) = make_groups("Pendulum-v1", COPIES, stagger=True, **kwargs)
    (plain,) = make_groups("Pendulum-v1", COPIES, **kwargs)
    pool.reset(SEED)
    plain.reset(SEED)
    action = np.zeros((COPIES, 1), np.float32)
    limits = np.array([first_limit(SEED + i, 200) for i in range(COPIES)])
    assert len(set(limits)) > 3
    assert limits.max() < 200, "a copy that is not cut has a dummy row more"
    for t in range(1, 450):
        row, other = pool.step(action), plain.step(action)
        before = t <= limits
        # Until its cut, an environment does what it did without one, the true last step included.
        np.testing.assert_array_equal(row.next_obs[before], other.next_obs[before])
        np.testing.assert_array_equal(row.reward[before], other.reward[before])
        np.testing.assert_array_equal(row.staggered, limits == t)
        assert (row.obs[row.staggered] != row.next_obs[row.staggered]).any(axis=1).all()
        # No dummy row after the cut, where the pool has reset at once; one after a time limit.
        ended, since = t == limits, t - limits
        ended |= (since > 0) & (since % 201 == 200)
        np.testing.assert_array_equal(row.truncated, ended)
        np.testing.assert_array_equal(row.valid, (since <= 0) | (since % 201 != 0))
    pool.close()
    plain.close()


def test_a_pool_that_is_reset_without_a_seed_is_not_cut_again():
    pytest.importorskip("envpool")
    (pool,) = make_groups(
        "Pendulum-v1", 2, backend="envpool", vectorization="sync", env_threads=1, stagger=True
    )
    pool.reset(SEED)
    pool.reset(None)
    rows_of = [pool.step(np.zeros((2, 1), np.float32)) for _ in range(199)]
    assert not any(row.truncated.any() for row in rows_of)
    pool.close()


def test_first_episodes_on_the_device_are_cut_at_uniform_ages():
    env = DeviceEnv(Device(), time_limit=LIMIT)
    copies = 4000
    state = env.init(jax.random.key(1), copies, stagger=True)
    counts = np.bincount(np.asarray(state.limit), minlength=LIMIT + 1)
    assert counts[0] == 0
    assert len(counts) == LIMIT + 1
    assert stats.chisquare(counts[1:]).pvalue > 0.01
    first = np.asarray(state.limit)

    step = jax.jit(env.step)
    action = jnp.zeros((copies, 1))
    for t in range(1, 2 * LIMIT + 1):
        state, row = step(state, action, jax.random.fold_in(jax.random.key(2), t))
        truncated = (t >= first) & ((t - first) % LIMIT == 0)
        np.testing.assert_array_equal(row.truncated, truncated)
        np.testing.assert_array_equal(row.staggered, (t == first) & (first < LIMIT))
        np.testing.assert_array_equal(row.episode_length[truncated & (t > first)], LIMIT)
        np.testing.assert_array_equal(row.next_obs[:, 1], row.episode_length)
    assert len(set(np.asarray(state.age).tolist())) == LIMIT


def test_starts_on_the_device_are_those_without_the_cut():
    env = sf.DeviceEnv(Device(), time_limit=LIMIT)
    plain, cut = (env.init(jax.random.key(1), 3, stagger=stagger) for stagger in (False, True))
    for name in plain._fields:
        if name != "limit":
            np.testing.assert_array_equal(getattr(plain, name), getattr(cut, name))
    assert (plain.limit == LIMIT).all()
    assert sf.DeviceEnv(Device()).init(jax.random.key(1), 3, stagger=True).limit is None


def lengths(**options):
    """The lengths of all episodes that a run counts, an array."""
    told = []
    run = {"num_envs": COPIES, "horizon": 64, "hidden": (4,), "steps": 64 * COPIES * 8} | options
    sf.train("trpo", **run, progress=False, on_iteration=lambda row, _: told.append(row))
    return np.concatenate([row["episode_lengths"] for row in told])


@pytest.mark.parametrize(
    "options",
    [
        {"env": limited},
        {"env": limited, "vectorization": "thread"},
        {"env": sf.DeviceEnv(Device(), time_limit=LIMIT)},
        {"env": "Pendulum-v1", "backend": "envpool"},
    ],
    ids=["sync", "thread", "device", "envpool"],
)
def test_an_episode_that_is_cut_counts_in_no_statistic(options):
    if options.get("backend") == "envpool":
        pytest.importorskip("envpool")
    counted, in_step = lengths(**options), lengths(**options, stagger_starts=False)
    limit = 200 if options["env"] == "Pendulum-v1" else LIMIT
    np.testing.assert_array_equal(counted, limit)
    np.testing.assert_array_equal(in_step, limit)
    # What is not counted is at most one episode of each copy.
    assert len(in_step) - COPIES <= len(counted) < len(in_step)


@pytest.mark.parametrize(
    "env", [limited, sf.DeviceEnv(Device(), time_limit=LIMIT)], ids=["host", "device"]
)
def test_a_method_whose_episodes_begin_anew_in_every_iteration_is_not_staggered(env):
    kept = []
    sf.train(
        "cem",
        env,
        num_envs=COPIES,
        horizon=LIMIT,
        steps=2 * COPIES * LIMIT,
        progress=False,
        on_iteration=lambda row, _: kept.append(row),
        elite_fraction=0.5,
    )
    assert [row["episode_lengths"] for row in kept] == [[LIMIT] * COPIES] * 2


@pytest.mark.parametrize(
    "env", [limited, sf.DeviceEnv(Device(), time_limit=LIMIT)], ids=["host", "device"]
)
def test_without_a_critic_nothing_is_cut(env):
    """There is no value to put in the place of what a cut takes off."""
    kept = []
    sf.train(
        "reinforce",
        env,
        baseline=False,
        num_envs=COPIES,
        horizon=LIMIT,
        steps=COPIES * LIMIT,
        progress=False,
        on_iteration=lambda row, _: kept.append(row),
    )
    assert [row["episode_lengths"] for row in kept] == [[LIMIT] * COPIES]
    assert kept[0]["learned_rows"] == COPIES * LIMIT


def test_the_longest_time_limit_is_drawn_from():
    state = sf.DeviceEnv(Device(), time_limit=2**31 - 1).init(jax.random.key(0), 64, stagger=True)
    assert (np.asarray(state.limit) > 0).all()
    assert len(set(np.asarray(state.limit).tolist())) == 64


@pytest.mark.parametrize("options", [{}, {"backend": "device"}], ids=["host", "device"])
def test_a_run_that_stops_before_the_cut_goes_on_to_it(options, tmp_path):
    """Some copies have been cut when it stops, others have not."""
    common = {"num_envs": COPIES, "horizon": 32, "hidden": (4,), "steps": 32 * COPIES * 8}
    common |= {"checkpoint_every": 0, "seed": 1, "progress": False, **options}
    sf.train("trpo", "Pendulum-v1", out=tmp_path / "whole", **common)
    stop = {"on_iteration": lambda row, _: row["iteration"] + 1 < 3}
    sf.train("trpo", "Pendulum-v1", out=tmp_path / "stopped", **stop, **common)
    sf.resume(tmp_path / "stopped", progress=False)
    whole = untimed(tmp_path / "whole")
    assert untimed(tmp_path / "stopped") == whole
    assert any(row["episode_lengths"] for row in whole)


def test_what_is_made_for_anything_but_training_is_not_staggered():
    with contextlib.closing(make_host(limited, COPIES)) as host:
        host.reset(SEED)
        seen = [host.step(np.zeros((COPIES, 1), np.float32)).truncated for _ in range(LIMIT)]
    assert not np.any(seen[:-1])
    assert np.all(seen[-1])

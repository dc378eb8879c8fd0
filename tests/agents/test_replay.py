"""An episode that is played again leads to where it was."""

import json

import gymnasium
import numpy as np
import pytest

from surefoot.common.arrays import Snapshot
from surefoot.envs.host.episode_history import History
from surefoot.envs.make import make_groups, make_host
from surefoot.training.rollout import GroupState, mark_groups, restore_groups

IDS = ["CartPole-v1", "Pendulum-v1", "Blackjack-v1", "Taxi-v4", "HalfCheetah-v5", "Hopper-v5"]


@pytest.mark.parametrize("env_id", IDS)
def test_the_next_steps_are_those_that_would_have_come(env_id):
    env, other = make_host(env_id, 2), make_host(env_id, 2)
    env.reset(3)
    env.action_space.seed(0)
    actions = [np.asarray([env.action_space.sample() for _ in range(2)]) for _ in range(80)]
    for action in actions[:50]:
        seen = env.step(action)
    histories = env.mark()()
    # As a file has them.
    histories = [
        History(
            h.seed, json.loads(json.dumps(h.generator)), h.actions, json.loads(json.dumps(h.now))
        )
        for h in histories
    ]
    other.reset(1000)
    played = other.resimulate(histories)
    np.testing.assert_array_equal(played.obs, seen.obs)
    assert played.same.all()
    for action in actions[50:]:
        for name, a, b in zip(seen._fields, env.step(action), other.step(action), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)
    env.close()
    other.close()


@pytest.mark.parametrize("field", ["obs", "episode_return"])
def test_environments_that_do_not_come_back_begin_new_episodes(field):
    env, other = make_host("CartPole-v1", 2), make_host("CartPole-v1", 2)
    env.reset(3)
    seen = env.step(np.array([0, 1]))
    stood = GroupState(seen.obs, seen.reward, np.ones(2))
    elsewhere = getattr(stood, field).copy()
    elsewhere[1] += 1.0
    saved = mark_groups([env], [stood._replace(**{field: elsewhere})])()
    (found,), why = restore_groups([other], saved, seed=77)
    starts = [gymnasium.make("CartPole-v1").reset(seed=77 + i)[0] for i in range(2)]
    np.testing.assert_array_equal(found.obs, starts)
    np.testing.assert_array_equal(found.episode_return, 0.0)
    assert why == (
        "environment 1 of CartPole-v1 did not come back to where it was: it does not depend on "
        "np_random and its episode's actions alone"
    )
    env.close()
    other.close()


@pytest.mark.parametrize("vectorization", ["sync", "thread", "async"])
def test_groups_come_back_to_where_they_stood(vectorization):
    def groups():
        return make_groups(
            "CartPole-v1", 3, backend="host", vectorization=vectorization, env_threads=0
        )

    ours, theirs = groups(), groups()
    rng = np.random.default_rng(0)
    states, seed = [], 5
    for group in ours:
        group.reset(seed)
        seed += group.num_envs
        n = group.num_envs
        earned = np.zeros(n)
        for _ in range(40):
            seen = group.step(rng.integers(2, size=n))
            earned = np.where(seen.terminated | seen.truncated, 0.0, earned + seen.reward)
        states.append(GroupState(seen.obs, earned, np.arange(n) + 1.0))
    saved = mark_groups(ours, states)()
    back, why = restore_groups(theirs, saved, seed=77)
    assert why is None
    for a, b in zip(states, back, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)
    for one, other in zip(ours, theirs, strict=True):
        action = rng.integers(2, size=one.num_envs)
        np.testing.assert_array_equal(one.step(action).obs, other.step(action).obs)
    moved = {**saved.arrays, "groups[0].obs": saved.arrays["groups[0].obs"] + 1}
    paid = {**saved.arrays, "groups[0].episode_return": states[0].episode_return + 1}
    _, why = restore_groups(theirs, Snapshot(paid, saved.metadata), seed=77)
    assert "did not come back" in why
    fresh, why = restore_groups(theirs, Snapshot(moved, saved.metadata), seed=77)
    assert "environment 0 of CartPole-v1 did not come back" in why
    np.testing.assert_array_equal(fresh[0].obs[0], gymnasium.make("CartPole-v1").reset(seed=77)[0])
    for group in (*ours, *theirs):
        group.close()

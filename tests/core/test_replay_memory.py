"""The ring of earlier trajectories against a list of them."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surefoot.core.data.following import Following
from surefoot.core.data.replay_memory import (
    FINAL_SLOTS,
    Remembered,
    ReplayMemory,
    blank_trajectory,
)
from surefoot.core.data.types import Trajectory
from surefoot.core.distributions import Categorical

STEPS, ENVS, SLOTS = 3, 2, 4

appended = jax.jit(ReplayMemory.appended)
beside = jax.jit(ReplayMemory.with_newest)


def trajectory(number):
    """One whose numbers say which it is."""
    shape = STEPS, ENVS
    x = np.arange(STEPS * ENVS).reshape(shape) + 100.0 * number
    no = np.zeros(shape, bool)
    return Trajectory(
        obs=x[..., None].astype(np.float32),
        action=x.astype(np.int32),
        old=Categorical(jnp.asarray(x[..., None] + np.arange(3), jnp.float32)),
        reward=x.astype(np.float32),
        next_obs=x[..., None].astype(np.float32) + 1,
        terminated=no,
        truncated=no,
        valid=~no,
        episode_return=x.astype(np.float32),
        episode_length=x.astype(np.int32),
        memory=(x[:1, :, None].astype(np.float32),),
    )


def newest(number):
    kept = Remembered(trajectory(number), (np.full((ENVS, 2), number, np.float32),))
    return jax.tree.map(jnp.asarray, kept)


def filled(count):
    memory = ReplayMemory.empty(newest(0), SLOTS)
    for number in range(1, count + 1):
        memory = appended(memory, newest(number))
    return memory


def held(kept):
    """Which trajectories lie side by side; None where there is none."""
    found = []
    for i in range(0, kept.trajectory.reward.shape[1], ENVS):
        own = slice(i, i + ENVS)
        valid = np.asarray(kept.trajectory.valid[:, own])
        if not valid.any():
            found.append(None)
            continue
        number = int(kept.trajectory.reward[0, i]) // 100
        one = trajectory(number)
        for a, b in zip(jax.tree.leaves(kept.trajectory), jax.tree.leaves(one), strict=True):
            np.testing.assert_array_equal(a[:, own], b)
        np.testing.assert_array_equal(kept.critic_memory[0][own], number)
        found.append(number)
    return found


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 7, 8, 9, 13])
def test_it_holds_the_newest_and_the_oldest_makes_room(count):
    memory = filled(count)
    expected = collections.deque(range(1, count + 1), SLOTS)
    assert {*held(memory.kept)} - {None} == {*expected}
    assert int(memory.filled) == len(expected)
    with_next = held(beside(memory, newest(77)))
    assert with_next[-1] == 77
    assert with_next[:-1] == held(memory.kept)


def test_every_trajectory_that_it_holds_is_drawn_as_often_and_no_other():
    draw = jax.jit(jax.vmap(lambda memory, key: memory.drawn(key), (None, 0)))
    for count in (1, 3, 6):
        kept = draw(filled(count), jax.random.split(jax.random.key(count), 4000))
        numbers = np.asarray(kept.trajectory.reward[:, 0, 0]).astype(int) // 100
        assert np.asarray(kept.trajectory.valid).all()
        found, times = np.unique(numbers, return_counts=True)
        there = min(count, SLOTS)
        assert [*found] == [*range(count - there + 1, count + 1)]
        # Five standard deviations of a count.
        assert np.abs(times - 4000 / there).max() <= 5 * np.sqrt(4000 / there)
    none = filled(0).drawn(jax.random.key(0))
    assert not np.asarray(none.trajectory.valid).any()


def test_of_an_image_that_has_no_room_the_row_is_no_transition():
    cut = np.zeros((5, ENVS), bool)
    cut[[0, 2, 4], 0], cut[3, 1] = True, True
    base = jax.tree.map(lambda x: np.concatenate([x, x])[:5], trajectory(1)._replace(memory=None))
    final = np.stack([np.full((ENVS, 8, 8, 1), 10 * (k + 1), np.uint8) for k in range(4)])
    images = Following(np.zeros((1, ENVS, 8, 8, 1), np.uint8), final)
    one = jax.tree.map(jnp.asarray, base._replace(next_obs=images, truncated=cut))
    like = one._replace(next_obs=one.next_obs._replace(final=one.next_obs.final[:FINAL_SLOTS]))
    memory = ReplayMemory.empty(Remembered(like, None), SLOTS)
    kept = appended(memory, Remembered(one, None)).kept.trajectory
    np.testing.assert_array_equal(kept.next_obs.final[:, :ENVS], final[:FINAL_SLOTS])
    expected = np.ones((5, ENVS), bool)
    expected[4, 0] = False
    np.testing.assert_array_equal(kept.valid[:, :ENVS], expected)


class Acting:
    """A behavior whose distributions and memories have shapes of their own."""

    def initial(self, count):
        return jnp.zeros((count, 7))

    def __call__(self, obs):
        return Categorical(obs["a"] @ jnp.ones((3, 5)))

    def step(self, obs, starts, memory):
        return self(obs), memory

    def unroll(self, obs, starts, memory):
        raise NotImplementedError


def test_a_blank_trajectory_has_the_shapes_to_come_and_no_valid_row():
    blank = blank_trajectory(Acting(), {"a": jnp.zeros((6, 2, 3))}, segment_length=3, lives=True)
    assert blank.old.logits.shape == (6, 2, 5)
    assert (blank.action.shape, blank.action.dtype) == ((6, 2), jnp.int32)
    assert blank.memory.shape == (2, 2, 7)
    assert blank.lives.length.dtype == jnp.int32
    assert not blank.valid.any()

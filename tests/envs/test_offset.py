"""Observations that float32 cannot hold as they are: less an offset, all their digits are kept."""

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

import surefoot as sf
from support import runs
from surefoot.core.data.normalization import Offset
from surefoot.envs.make import make_groups
from surefoot.envs.spaces.encoding import Encoding, size_of
from surefoot.runs.options import prepare
from surefoot.training.rollout.group_state import fresh_episodes

#: A time in seconds since 1970, to microseconds.
NOW = 1.7e9


class Clock(gymnasium.ObservationWrapper):
    """CartPole in other units, in float64."""

    def __init__(self, factor=1.0, shift=0.0):
        super().__init__(gymnasium.make("CartPole-v1"))
        self.factor, self.shift = factor, shift
        self.observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float64)

    def observation(self, observation):
        return self.factor * observation.astype(np.float64) + self.shift


SPACES = st.recursive(
    st.sampled_from(
        [
            spaces.Box(-1, 1, (2,), np.float32),
            spaces.Box(-np.inf, np.inf, (2, 2), np.float64),
            spaces.Box(-(2**40), 2**40, (1,), np.int64),
            spaces.Box(0, 255, (3,), np.uint8),
            spaces.Discrete(3, start=-1),
            spaces.MultiDiscrete([2, 3]),
            spaces.MultiBinary(2),
        ]
    ),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2).map(spaces.Tuple)
        | st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=2).map(spaces.Dict)
    ),
    max_leaves=4,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SPACES, st.integers(0, 1000))
def test_what_is_subtracted_is_the_first_observation_where_float32_has_too_few_digits(space, seed):
    several = gymnasium.vector.utils.batch_space(space, 3)
    several.seed(seed)
    obs = several.sample()
    offset = Encoding(space).offset_of_first(obs)
    plain = Encoding(space)(obs)
    if offset is None:
        return
    wide = np.concatenate(
        [
            np.full(
                size_of(part),
                isinstance(part, spaces.Box) and part.dtype in (np.float64, np.int64),
            )
            for part in leaves(space)
        ]
    )
    shifted = Encoding(space)(obs, offset=offset)
    assert shifted.dtype == np.float32
    np.testing.assert_array_equal(shifted[:, ~wide], plain[:, ~wide])
    kept = Offset.of(offset).value()
    np.testing.assert_array_equal(0.0 if kept is None else kept, offset, "as it is kept")
    assert (np.abs(shifted[0, wide]) <= 2.0**-47 * np.abs(offset[wide])).all()
    np.testing.assert_allclose(shifted + offset, plain, rtol=1e-6, atol=1e-6)


def leaves(space):
    match space:
        case spaces.Dict():
            return [leaf for part in space.values() for leaf in leaves(part)]
        case spaces.Tuple():
            return [leaf for part in space for leaf in leaves(part)]
        case _:
            return [space]


def test_all_groups_have_the_first_ones_offset():
    groups = make_groups(Clock, 4, most=2, backend="host", vectorization="thread", env_threads=0)
    try:
        assert len(groups) == 2
        states = fresh_episodes(groups, 3, new_offset=True)
        np.testing.assert_array_equal(groups[0].offset, groups[1].offset)
        np.testing.assert_array_equal(states[0].obs[0], 0.0)
        alone = [Clock().reset(seed=3 + i)[0] for i in range(4)]
        np.testing.assert_allclose(
            np.concatenate([state.obs for state in states]), np.stack(alone) - alone[0], atol=1e-7
        )
    finally:
        for group in groups:
            group.close()


AFFINE = {
    "far away": (1.0, NOW),
    "small": (1e-6, 0.0),
    "small and far": (1e-6, 1e3),
    "large": (1e9, -1e9),
}


@pytest.mark.parametrize("case", AFFINE)
def test_learning_is_the_same_under_any_affine_map_of_observations(case):
    """To rounding: the actions of three iterations, and so all that is seen, are the same."""
    rows = []
    for factor, shift in ((1.0, 0.0), AFFINE[case]):
        run = prepare(
            "trpo", lambda f=factor, s=shift: Clock(f, s), {**runs.TINY, "steps": 3 * runs.BATCH}
        )
        rows.append(list(run.iterations()))
    for a, b in zip(*rows, strict=True):
        np.testing.assert_array_equal(a.episode_lengths, b.episode_lengths)
        assert a.metrics["kl_mean"] == pytest.approx(b.metrics["kl_mean"], rel=1e-2)


def test_the_agent_keeps_the_offset(tmp_path):
    """Saved and loaded, in a batch or alone, evaluated, recorded, resumed: the same actions."""
    folder = tmp_path / "run"
    make = lambda: Clock(1.0, NOW)  # noqa: E731
    agent = sf.train("trpo", make, out=folder, steps=2 * runs.BATCH, **runs.TINY)
    offset = agent.normalizer.offset.value()
    assert (np.abs(offset - NOW) < 1).all()
    obs = NOW + np.random.default_rng(0).normal(0, 0.1, (64, 4))
    actions = agent.predict(obs)[0]
    assert 0 < actions.mean() < 1
    np.testing.assert_array_equal(sf.load(folder).predict(obs)[0], actions)
    np.testing.assert_array_equal([agent.predict(one)[0] for one in obs[:8]], actions[:8])
    recorded = agent.record(3, env=make)
    assert recorded.obs.dtype == np.float64
    np.testing.assert_array_equal(agent.predict(recorded.obs)[0], recorded.action)
    resumed = sf.resume(folder, env=make, steps=3 * runs.BATCH)
    whole = sf.train("trpo", make, steps=3 * runs.BATCH, **runs.TINY)
    for a, b in zip(*(jax.tree.leaves(x.normalizer) for x in (resumed, whole)), strict=True):
        np.testing.assert_array_equal(a, b)

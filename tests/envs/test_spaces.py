"""Spaces: encoding against Gymnasium's `flatten`, action maps, heads, and the JSON form."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector.utils import batch_space, iterate
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.random_spaces import case, sample
from surefoot.common.errors import UsageError
from surefoot.core.networks import (
    BernoulliHead,
    BetaHead,
    CategoricalHead,
    GaussianHead,
    MultiCategoricalHead,
    ProductHead,
    StateGaussianHead,
    TanhGaussianHead,
)
from surefoot.envs.spaces.action_heads import action_head
from surefoot.envs.spaces.actions import action_map
from surefoot.envs.spaces.encoding import Encoding
from surefoot.envs.spaces.observations import alike, check_observation_space
from surefoot.envs.spaces.reading import read_observations
from surefoot.envs.spaces.space_json import check_restorable, space_from_json, space_to_json

INF = np.inf


def box(low, high):
    return spaces.Box(np.array(low, np.float32), np.array(high, np.float32))


SPACES = {
    "box": spaces.Box(-1.0, 1.0, (3,)),
    "box, scalar": spaces.Box(-1.0, 1.0, ()),
    "box, 2-D": spaces.Box(-5.0, 5.0, (2, 3)),
    "box, half open": box([-INF, 0.0], [1.0, INF]),
    "box, float64": spaces.Box(-2.0, 2.0, (2,), np.float64),
    "box, pixels": spaces.Box(0, 255, (2, 2, 3), np.uint8),
    "discrete": spaces.Discrete(4),
    "discrete, start": spaces.Discrete(5, start=-2),
    "multi-discrete": spaces.MultiDiscrete([3, 2, 4]),
    "multi-discrete, start": spaces.MultiDiscrete([3, 2], start=[5, -1]),
    "multi-discrete, 2-D": spaces.MultiDiscrete([[3, 2, 4], [2, 5, 2]]),
    "multi-binary": spaces.MultiBinary((4,)),
    "multi-binary, 2-D": spaces.MultiBinary((2, 3)),
    "dict": spaces.Dict(
        {
            "b": spaces.Discrete(3, start=1),
            "a": spaces.Box(-1.0, 1.0, (2, 2)),
            "c": spaces.Dict({"z": spaces.MultiBinary((2,)), "y": spaces.MultiDiscrete([2, 3])}),
        }
    ),
    "tuple": spaces.Tuple(
        [
            spaces.Discrete(2),
            spaces.Tuple([spaces.Box(-1.0, 1.0, (2,)), spaces.Discrete(3)]),
            spaces.Dict({"only": spaces.Box(0.0, 1.0, (1,))}),
        ]
    ),
}
for i, space in enumerate(SPACES.values()):
    space.seed(i)

ACTIONS = [name for name in SPACES if name.startswith(("box", "discrete", "multi"))]
ACTIONS.remove("box, pixels")


@jax.jit
def mapped(to_env, raw):
    return to_env(raw)


@jax.jit
def unmapped(to_env, action):
    return to_env.inverse(action)


@pytest.mark.parametrize("name", SPACES)
def test_encode_is_gymnasiums_flatten_for_one_and_for_batches(name):
    space = SPACES[name]
    batch = batch_space(space, 6)
    batch.seed(3)
    sample = batch.sample()
    singles = list(iterate(batch, sample))
    expected = np.array([spaces.flatten(space, single) for single in singles], np.float32)
    assert Encoding(space).size == expected.shape[1]

    encoded = Encoding(space)(sample)
    assert encoded.dtype == np.float32
    np.testing.assert_array_equal(encoded, expected)
    for single, row in zip(singles, expected, strict=True):
        np.testing.assert_array_equal(Encoding(space)(single), row)


@pytest.mark.parametrize("name", SPACES)
def test_encode_in_jax_equals_encode_in_numpy_and_may_be_traced(name):
    space = SPACES[name]
    sample = batch_space(space, 6).sample()
    on_device = jax.tree.map(jnp.asarray, sample)
    encoded = jax.jit(lambda obs: Encoding(space)(obs, jnp))(on_device)
    assert isinstance(encoded, jax.Array)
    assert encoded.dtype == jnp.float32
    np.testing.assert_array_equal(encoded, Encoding(space)(sample))


def test_encode_keeps_any_leading_dimensions():
    space = SPACES["multi-discrete, 2-D"]
    sample = batch_space(batch_space(space, 5), 4).sample()
    encoded = Encoding(space)(sample)
    assert encoded.shape == (4, 5, Encoding(space).size)
    np.testing.assert_array_equal(encoded[2], Encoding(space)(sample[2]))


@pytest.mark.parametrize("name", SPACES)
def test_one_observation_and_batches_of_any_size_are_read_as_they_are_encoded(name):
    space = SPACES[name]
    one = space.sample()
    encoded, _, batched = read_observations(space, one)
    assert not batched
    np.testing.assert_array_equal(encoded, Encoding(space)(one)[None])
    for count in (1, 3):
        batch = batch_space(space, count).sample()
        encoded, _, batched = read_observations(space, batch)
        assert batched
        np.testing.assert_array_equal(encoded, Encoding(space)(batch))
    assert read_observations(space, batch_space(space, 1).sample())[0].dtype == np.float32


def test_the_affine_map_takes_the_corners_to_the_bounds():
    low, high = np.array([[-2.0, 0.0, 3.0], [2.0, 10.0, 4.0]])
    to_env = action_map(box(low, high))
    corners = jnp.array([[-1.0] * 3, [0.0] * 3, [1.0] * 3])
    np.testing.assert_allclose(mapped(to_env, corners), [low, (low + high) / 2, high], atol=1e-6)
    beyond = jnp.array([[-1.5, -9.0, -1.01], [1.5, 9.0, 1.01]])
    np.testing.assert_array_equal(mapped(to_env, beyond), [low, high])


def test_dimensions_without_two_finite_bounds_pass_through_and_are_clipped():
    to_env = action_map(box([0.0, -INF, 0.0], [INF, 7.0, 10.0]))
    raw = jnp.array([[0.5, 0.5, 0.5], [-3.0, 9.0, -3.0]])
    np.testing.assert_allclose(mapped(to_env, raw), [[0.5, 0.5, 7.5], [0.0, 7.0, 0.0]])


def test_unbounded_dimensions_pass_through_without_a_warning():
    raw = jnp.array([[0.5, -1e6]])
    np.testing.assert_array_equal(mapped(action_map(box([-INF, -INF], [INF, INF])), raw), raw)


def test_the_clip_map_only_clips():
    to_env = action_map(spaces.Box(0.0, 10.0, (3,)), "clip")
    np.testing.assert_allclose(mapped(to_env, jnp.array([[-1.0, 1.0, 11.0]])), [[0.0, 1.0, 10.0]])


def test_integer_maps_add_the_start_and_restore_the_shape():
    one = action_map(spaces.Discrete(5, start=-2))
    np.testing.assert_array_equal(mapped(one, np.arange(5)), np.arange(5) - 2)

    space = spaces.MultiDiscrete([[3, 2, 4], [2, 5, 2]], start=[[1, 2, 3], [-4, 5, -6]])
    raw = np.array([[0, 1, 2, 1, 4, 0], [2, 0, 3, 0, 0, 1]])
    expected = raw.reshape(2, 2, 3) + space.start
    np.testing.assert_array_equal(mapped(action_map(space), raw), expected)

    coins = action_map(spaces.MultiBinary((2, 3)))
    np.testing.assert_array_equal(np.asarray(mapped(coins, np.arange(6) % 2))[0], [0, 1, 0])
    assert mapped(coins, np.zeros((4, 5, 6), np.int32)).shape == (4, 5, 2, 3)


def raw_samples(space, n, distribution="gaussian"):
    """What a policy samples: standard normal ones, three times too wide, for a `Box`."""
    head = action_head(space, distribution=distribution)
    output = 3.0 * np.random.default_rng(4).normal(size=(n, head.size)).astype(np.float32)
    return sampled(head, output)


@eqx.filter_jit
def sampled(head, output):
    return head(output).sample(jax.random.key(5))


@pytest.mark.parametrize("kind", ["affine", "clip"])
@pytest.mark.parametrize("name", ACTIONS)
def test_every_mapped_sample_lies_in_the_space(name, kind):
    space = SPACES[name]
    actions = np.asarray(mapped(action_map(space, kind), raw_samples(space, 200)))
    assert actions.shape == (200, *space.shape)
    actions = actions.astype(space.dtype)
    assert all(space.contains(np.asarray(action)) for action in actions)
    assert len(np.unique(actions, axis=0)) > 2


@pytest.mark.parametrize("kind", ["affine", "clip"])
@pytest.mark.parametrize("name", ACTIONS)
def test_the_inverse_leads_back_to_every_action_of_the_space(name, kind):
    space = SPACES[name]
    to_env = action_map(space, kind)
    batch = batch_space(space, 200)
    batch.seed(1)
    actions = batch.sample()
    raw = np.asarray(unmapped(to_env, actions))
    sample = raw_samples(space, 200)
    assert raw.shape == sample.shape
    assert raw.dtype == sample.dtype
    if isinstance(space, spaces.Box):
        np.testing.assert_allclose(mapped(to_env, raw), actions, rtol=1e-6, atol=1e-6)
    else:
        np.testing.assert_array_equal(mapped(to_env, raw), actions)
    singly = [unmapped(to_env, action) for action in actions[:3]]
    np.testing.assert_allclose(np.stack(singly), raw[:3], rtol=1e-6, atol=1e-6)
    twice = unmapped(to_env, np.stack([actions, actions[::-1]]))
    np.testing.assert_allclose(twice, np.stack([raw, raw[::-1]]), rtol=1e-6, atol=1e-6)


#: Of these the keys are not in the order of the alphabet.
MIXED = {
    "dict": spaces.Dict(
        [
            ("turn", spaces.Box(-2.0, 6.0, (2, 2))),
            ("gear", spaces.Discrete(3, start=1)),
            ("lights", spaces.Dict(b=spaces.MultiBinary((2,)), a=spaces.MultiDiscrete([2, 3]))),
        ]
    ),
    "tuple": spaces.Tuple(
        [
            spaces.Discrete(2),
            spaces.Tuple([spaces.Box(-1.0, 1.0, (2,)), spaces.Discrete(3)]),
            spaces.Dict({"only": spaces.Box(0.0, 1.0, (1,))}),
        ]
    ),
}
for i, space in enumerate(MIXED.values()):
    space.seed(i)
DISTRIBUTIONS = ["gaussian", "beta", "tanh_gaussian"]


def assert_close(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("name", MIXED)
def test_mixed_actions_lie_in_their_space_and_are_led_back(name, distribution):
    space = MIXED[name]
    to_env = action_map(space, distribution=distribution)
    raw = raw_samples(space, 100, distribution)
    actions = mapped(to_env, raw)
    if distribution == "beta":
        # Of the others a sample may be clipped, or squashed to the very bound.
        assert_close(unmapped(to_env, actions), raw)
    batch = batch_space(space, 100)

    def typed(space, action):
        if isinstance(space, spaces.Dict):
            return {k: typed(s, action[k]) for k, s in space.items()}
        if isinstance(space, spaces.Tuple):
            return tuple(typed(s, action[i]) for i, s in enumerate(space))
        return np.asarray(action).astype(space.dtype)

    assert batch.contains(typed(batch, actions))
    batch.seed(1)
    taken = batch.sample()
    back = unmapped(to_env, taken)
    assert jax.tree.structure(back) == jax.tree.structure(raw)
    for x, y in zip(jax.tree.leaves(back), jax.tree.leaves(raw), strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
    assert_close(mapped(to_env, back), jax.tree.map(jnp.asarray, taken))


def test_each_part_of_a_mixed_action_has_its_head_and_its_own_outputs():
    head = action_head(MIXED["dict"], distribution="beta")
    assert isinstance(head, ProductHead)
    assert [type(part) for part in head.parts] == [BetaHead, CategoricalHead, ProductHead]
    assert [type(part) for part in head.parts[2].parts] == [BernoulliHead, MultiCategoricalHead]
    assert head.size == 2 * 4 + 3 + 2 + 5
    raw = (
        jnp.asarray([[0.0, 0.5, -1.0, 1.0]]),
        jnp.asarray([2]),
        (jnp.asarray([[0, 1]]), jnp.asarray([[1, 2]])),
    )
    action = action_map(MIXED["dict"])(raw)
    assert list(action) == ["turn", "gear", "lights"]
    np.testing.assert_array_equal(action["turn"], [[[2.0, 4.0], [-2.0, 6.0]]])
    np.testing.assert_array_equal(action["gear"], [3])
    np.testing.assert_array_equal(action["lights"]["b"], [[0, 1]])
    np.testing.assert_array_equal(action["lights"]["a"], [[1, 2]])


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"distribution": "beta"}, BetaHead),
        ({"distribution": "tanh_gaussian"}, TanhGaussianHead),
        ({"distribution": "tanh_gaussian", "state_dependent_std": True}, TanhGaussianHead),
        ({"state_dependent_std": True}, StateGaussianHead),
    ],
)
def test_a_box_has_the_distribution_asked_for(options, kind):
    head = action_head(SPACES["box"], log_std=-0.7, **options)
    assert type(head) is kind
    squashed = kind is TanhGaussianHead
    if squashed:
        within = StateGaussianHead if "state_dependent_std" in options else GaussianHead
        assert type(head.gaussian) is within
    if kind is not BetaHead:
        dist = head(jnp.zeros((1, head.size)))
        dist = dist.gaussian if squashed else dist
        np.testing.assert_allclose(dist.log_std, np.full((1, 3), -0.7), atol=1e-6)


def test_a_squashed_gaussian_is_squashed_by_the_map():
    to_env = action_map(spaces.Box(0.0, 10.0, (2,)), distribution="tanh_gaussian")
    raw = jnp.asarray([[0.0, 0.5], [-30.0, 30.0]])
    expected = [[5.0, 5 + 5 * np.tanh(0.5)], [0.0, 10.0]]
    np.testing.assert_allclose(mapped(to_env, raw), expected, rtol=1e-6)
    back = np.asarray(unmapped(to_env, expected))
    np.testing.assert_allclose(back[0], raw[0], atol=1e-6)
    assert np.isfinite(back).all(), "of the bounds, too"
    np.testing.assert_allclose(mapped(to_env, back), expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("distribution", ["beta", "tanh_gaussian"])
@pytest.mark.parametrize(
    "space",
    [
        SPACES["box, half open"],
        spaces.Dict(a=box([0.0, 0.0], [1.0, INF])),
        spaces.Box(-1e300, 1e300, (2,), np.float64),
    ],
    ids=["half open", "in a dict", "beyond float32"],
)
def test_a_distribution_within_bounds_needs_them(distribution, space):
    for make in (action_head, action_map):
        with pytest.raises(UsageError, match=r"without two finite bounds; accepted are") as error:
            make(space, distribution=distribution)
        assert str(error.value).startswith(f"distribution is '{distribution}' and action space Box")
        assert "\n" not in str(error.value)


def test_options_that_contradict_a_distribution_are_named_in_one_line():
    with pytest.raises(UsageError, match=r"state_dependent_std is True and .* 'beta'.* is False"):
        action_head(SPACES["box"], state_dependent_std=True, distribution="beta")
    for distribution in ("beta", "tanh_gaussian"):
        with pytest.raises(UsageError, match=f"'clip' and .* '{distribution}'; accepted is 'aff"):
            action_map(SPACES["box"], "clip", distribution)


@pytest.mark.parametrize("space", [spaces.Dict(), spaces.Tuple([])], ids=str)
def test_an_action_of_no_part_is_refused_however_deep_it_lies(space):
    for inside in (space, spaces.Tuple([spaces.Discrete(2), spaces.Dict(a=space)])):
        for make in (action_head, action_map):
            with pytest.raises(UsageError, match=r"has no part; accepted is .*: leave it out"):
                make(inside)


@pytest.mark.parametrize("name", MIXED)
def test_a_mixed_action_space_comes_back_from_json_in_its_order(name):
    space = MIXED[name]
    check_restorable(space, "action")
    read = reread(space)
    assert str(read) == str(space)
    old, new = action_map(space), action_map(read)
    assert jax.tree.structure(old) == jax.tree.structure(new)


def test_the_inverse_takes_bounds_to_the_corners_and_passes_open_dimensions_through():
    space = box([-2.0, 0.0, -INF], [6.0, INF, INF])
    actions = np.array([[-2.0, 0.5, -9.0], [2.0, 3.0, 7.0], [6.0, 0.0, 0.0]], np.float32)
    expected = np.array([[-1.0, 0.5, -9.0], [0.0, 3.0, 7.0], [1.0, 0.0, 0.0]])
    np.testing.assert_array_equal(action_map(space).inverse(actions), expected)
    np.testing.assert_array_equal(action_map(space, "clip").inverse(actions), actions)


def test_the_inverse_is_0_where_the_bounds_are_one_number():
    to_env = action_map(box([3.0, 0.0], [3.0, 1.0]))
    raw = to_env.inverse(np.array([[3.0, 0.75]], np.float32))
    np.testing.assert_array_equal(raw, [[0.0, 0.5]])
    np.testing.assert_array_equal(mapped(to_env, raw), [[3.0, 0.75]])


def test_integer_inverses_take_off_the_start_and_flatten():
    one = action_map(spaces.Discrete(5, start=-2)).inverse(np.array([-2, 2, 0]))
    np.testing.assert_array_equal(one, [0, 4, 2])
    space = spaces.MultiDiscrete([[3, 2, 4], [2, 5, 2]], start=[[1, 2, 3], [-4, 5, -6]])
    action = np.array([[[3, 2, 6], [-4, 9, -5]]])
    np.testing.assert_array_equal(action_map(space).inverse(action), [[2, 0, 3, 0, 4, 1]])


def test_the_map_stays_inside_bounds_that_float32_cannot_hold():
    space = spaces.Box(-0.1, 0.1, (2,), np.float64)
    actions = np.asarray(mapped(action_map(space), jnp.array([[-5.0, 5.0]]))).astype(space.dtype)
    assert space.contains(actions[0])


@pytest.mark.parametrize(
    ("name", "head", "size"),
    [
        ("box", GaussianHead, 3),
        ("box, scalar", GaussianHead, 1),
        ("box, 2-D", GaussianHead, 6),
        ("box, float64", GaussianHead, 2),
        ("discrete", CategoricalHead, 4),
        ("discrete, start", CategoricalHead, 5),
        ("multi-discrete", MultiCategoricalHead, 9),
        ("multi-discrete, 2-D", MultiCategoricalHead, 18),
        ("multi-binary", BernoulliHead, 4),
        ("multi-binary, 2-D", BernoulliHead, 6),
    ],
)
def test_each_action_space_has_its_head(name, head, size):
    made = action_head(SPACES[name])
    assert type(made) is head
    assert made.size == size


def test_the_gaussian_head_starts_with_the_log_std_asked_for():
    dist = action_head(SPACES["box"], log_std=-0.7)(jnp.zeros((2, 3)))
    np.testing.assert_allclose(dist.log_std, np.full((2, 3), -0.7), atol=1e-6)


KEPT = [
    *SPACES.values(),
    spaces.Dict(),
    spaces.MultiBinary(4),
    spaces.Discrete(3, dtype=np.int32),
    spaces.MultiDiscrete([2, 3], dtype=np.int32),
]


@pytest.mark.parametrize("space", KEPT, ids=str)
def test_a_space_survives_strict_json(space):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    text = json.dumps(space_to_json(space), allow_nan=False)
    read = space_from_json(json.loads(text, parse_constant=refuse))
    assert read == space
    assert read.dtype == space.dtype
    assert read.shape == space.shape


def test_infinite_and_uneven_bounds_come_back_exactly():
    space = box([-INF, -0.1, 1e-30], [0.1, INF, 1 / 3])
    read = space_from_json(json.loads(json.dumps(space_to_json(space))))
    np.testing.assert_array_equal(read.low, space.low)
    np.testing.assert_array_equal(read.high, space.high)


def reread(space):
    return space_from_json(json.loads(json.dumps(space_to_json(space))))


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_any_space_comes_back_with_its_encoding_or_is_refused_in_one_line(number):
    space = case(number).observation_space
    try:
        check_observation_space(space)
        check_restorable(space, "observation")
    except UsageError as error:
        lines = str(error).splitlines()
    else:
        lines = []
    if lines:
        assert len(lines) == 1
        return
    read = reread(space)
    assert read == space
    assert str(read) == str(space), "the keys, in their order"
    obs = sample(space, np.random.default_rng(number))
    np.testing.assert_array_equal(Encoding(read)(obs), Encoding(space)(obs))


BETWEEN = spaces.Box(-1.0, 1.0, (2,))
BACKWARDS = {
    "keywords": spaces.Dict(speed=BETWEEN, place=BETWEEN),
    "pairs": spaces.Dict([("speed", BETWEEN), ("place", BETWEEN)]),
    "nested": spaces.Tuple([spaces.Dict(b=spaces.Dict(z=BETWEEN, y=BETWEEN), a=BETWEEN)]),
}


@pytest.mark.parametrize("name", BACKWARDS)
def test_keys_that_are_not_in_the_order_of_the_alphabet_keep_theirs(name):
    assert str(reread(BACKWARDS[name])) == str(BACKWARDS[name])


@pytest.mark.parametrize(
    "kind", [np.int64, np.uint64, np.int32, np.uint8], ids=lambda k: k.__name__
)
def test_the_ends_of_an_integer_type_come_back_and_those_of_older_files_too(kind):
    ends = np.iinfo(kind)
    space = spaces.Box(
        np.array([ends.min, 0], kind), np.array([ends.max, ends.max], kind), (2,), kind
    )
    assert reread(space) == space
    near = space.high - np.array([5, 9], kind)
    assert reread(spaces.Box(space.low, near, (2,), kind)).high.tolist() == near.tolist()
    old = space_to_json(space)
    for key in ("low", "high"):
        old[key] = [repr(float(x)) for x in old[key]]
    assert space_from_json(old) == space


class Ends(spaces.Box):
    """A box of one's own that differs from what it is written as."""

    def __eq__(self, other):
        return type(other) is Ends


NOT_RESTORABLE = {
    "integer keys": spaces.Dict([(0, BETWEEN), (1, BETWEEN)]),
    "pairs as keys": spaces.Tuple([spaces.Dict([((0, 1), BETWEEN)])]),
    "of one's own": Ends(-1.0, 1.0, (2, 3)),
}


@pytest.mark.parametrize("name", NOT_RESTORABLE)
def test_a_space_that_would_come_back_as_another_is_refused(name):
    with pytest.raises(
        UsageError, match=r"cannot be saved with an agent: .*; accepted are"
    ) as error:
        check_restorable(NOT_RESTORABLE[name], "observation")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("space", [spaces.Dict(), spaces.Tuple([])], ids=str)
def test_an_observation_of_no_part_is_refused_however_deep_it_lies(space):
    for inside in (space, spaces.Tuple([space]), spaces.Dict(a=BETWEEN, b=space)):
        with pytest.raises(UsageError, match=r"has no part; .*: leave it out"):
            check_observation_space(inside)


FAR = {
    "discrete": (spaces.Discrete(3, start=2**31 - 2), "to 2,147,483,648; accepted"),
    "discrete, below": (spaces.Discrete(3, start=-(2**40)), "from -1,099,511,627,776 to"),
    "multi-discrete": (spaces.MultiDiscrete([3, 2], start=[0, 2**31 - 1]), "to 2,147,483,648"),
}


@pytest.mark.parametrize("name", FAR)
def test_actions_that_32_bits_cannot_hold_are_refused(name):
    space, message = FAR[name]
    with pytest.raises(UsageError, match=message):
        action_head(space)
    action_head(spaces.Discrete(2, start=2**31 - 2))


def test_an_action_without_an_entry_is_refused():
    with pytest.raises(UsageError, match="has no entry"):
        action_head(spaces.Box(-1.0, 1.0, (2, 0)))


def test_bounds_beyond_float32_bound_nothing():
    space = spaces.Box(-1e300, 1e300, (2,), np.float64)
    raw = jnp.array([[0.0, -2.5]])
    np.testing.assert_array_equal(mapped(action_map(space), raw), raw)


UNSUPPORTED = {
    "Text": spaces.Text(5),
    "Graph": spaces.Graph(spaces.Box(0.0, 1.0, (2,)), None),
    "Sequence": spaces.Sequence(spaces.Discrete(2)),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_an_unsupported_observation_space_is_named_however_deep_it_lies(name):
    space = UNSUPPORTED[name]
    with pytest.raises(UsageError, match=f"observation space {name}"):
        check_observation_space(space)
    nested = spaces.Dict({"fine": spaces.Discrete(2), "not": spaces.Tuple([space])})
    with pytest.raises(UsageError, match=f"observation space {name}"):
        check_observation_space(nested)


@pytest.mark.parametrize(
    "space",
    [*UNSUPPORTED.values(), SPACES["box, pixels"]],
    ids=lambda space: type(space).__name__,
)
def test_an_unsupported_action_space_is_named(space):
    for whole in (space, spaces.Dict(fine=spaces.Discrete(2), other=spaces.Tuple([space]))):
        with pytest.raises(UsageError) as error:
            action_head(whole)
        assert str(error.value).startswith(f"action space {space} is not supported")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("space", SPACES.values(), ids=list(SPACES))
def test_every_supported_observation_space_is_accepted(space):
    check_observation_space(space)


def test_spaces_are_alike_up_to_the_bounds_of_boxes():
    box, wider = spaces.Box(-1, 1, (3,)), spaces.Box(-np.inf, np.inf, (3,))
    four = spaces.Discrete(4)
    assert alike(box, wider)
    assert alike(spaces.Dict(a=box, b=four), spaces.Dict(a=wider, b=four))
    assert alike(spaces.Tuple((box, four)), spaces.Tuple((wider, four)))
    for other in (four, spaces.Box(-1, 1, (4,)), spaces.Dict(a=box), spaces.Tuple((box,))):
        assert not alike(box, other)
    assert not alike(four, spaces.Box(0, 1, (4,)))
    assert not alike(spaces.Dict(a=box, b=box), spaces.Dict(a=box, c=box))
    assert not alike(spaces.Tuple((box, four)), spaces.Tuple((four, box)))

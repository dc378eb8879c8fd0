"""Networks by their names: which parts they have, and which names and observations fit."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import surefoot as sf
from surefoot.common.errors import UsageError
from surefoot.core.networks import CNN, MLP, Impala, mlp_policy
from surefoot.core.networks.architecture import OWN, Architecture
from surefoot.core.networks.composed import Encoded, Joined, Recurrent, Single, VectorEncoder
from surefoot.core.networks.selecting import Selecting, Selection
from surefoot.core.observation import Observation

KEY = jax.random.key(3)
VECTOR = jax.ShapeDtypeStruct((3,), np.float32)
IMAGE = jax.ShapeDtypeStruct((10, 9, 2), np.uint8)
BOTH = {"camera": IMAGE, "vector": VECTOR}


def build(name, spec, outputs=4, **options):
    return eqx.filter_jit(
        lambda: Architecture(name, **options).build(KEY, spec, outputs, gain=1.0)
    )()


def random_like(spec, *batch):
    rng = np.random.default_rng(0)

    def drawn(x):
        shape = (*batch, *x.shape)
        whole = x.dtype == np.uint8
        return jnp.asarray(
            rng.integers(0, 255, shape) if whole else rng.normal(size=shape), x.dtype
        )

    return jax.tree.map(drawn, spec)


@eqx.filter_jit
def outputs(network, obs):
    """Of a batch of observations, each the first of an episode."""
    count = jax.tree.leaves(obs)[0].shape[0]
    return network.step(obs, jnp.ones(count, bool), network.initial(count))[0]


@pytest.mark.parametrize(
    ("name", "spec", "kind", "encoder"),
    [
        ("auto", VECTOR, MLP, None),
        ("mlp", VECTOR, MLP, None),
        ("auto", IMAGE, Encoded, CNN),
        ("impala", IMAGE, Encoded, Impala),
        ("gru", VECTOR, Recurrent, VectorEncoder),
        ("lstm", IMAGE, Recurrent, CNN),
        ("cnn+gru", IMAGE, Recurrent, CNN),
        ("auto", BOTH, Encoded, Joined),
        ("impala+lstm", BOTH, Recurrent, Joined),
    ],
)
def test_a_name_says_which_parts_a_network_has(name, spec, kind, encoder):
    network = build(name, spec, hidden=(6, 5))
    assert type(network) is kind
    if encoder is not None:
        assert type(network.encoder) is encoder
    if encoder is Joined:
        seen = Impala if name.startswith("impala") else CNN
        assert {k: type(x) for k, x in network.encoder.parts.items()} == {
            "camera": seen,
            "vector": VectorEncoder,
        }
    obs = random_like(spec, 7)
    values = outputs(network, obs)
    assert values.shape == (7, 4)
    assert len(np.unique(np.round(values, 5), axis=0)) == 7, "it does not see the observation"


def test_a_plain_network_is_bit_for_bit_that_of_before():
    ours = build("auto", VECTOR, outputs=2)
    theirs = mlp_policy(KEY, 3, sf.core.networks.CategoricalHead(2)).network
    np.testing.assert_allclose(ours.weights[0], theirs.weights[0], atol=1e-6)
    np.testing.assert_allclose(ours.weights[-1] * 0.01, theirs.weights[-1], atol=1e-7)


def test_the_last_width_is_the_memorys():
    network = build("gru", VECTOR, hidden=(6, 5))
    assert network.memory.features == 5
    assert network.encoder.mlp.weights[-1].shape == (3, 6)
    assert build("lstm", VECTOR, hidden=(5,)).memory.input_weight.shape[0] == 3


def test_options_reach_the_layers():
    network = build("auto", VECTOR, activation="relu", layer_norm=True)
    assert network.activation is jax.nn.relu
    assert network.layer_norm
    assert build("gru", VECTOR, activation="swish").encoder.mlp.activation is jax.nn.swish


def features(key, spec):
    """One's own network: the parts' sums and sums of squares."""

    def module(obs):
        parts = [jnp.asarray(x, float).ravel() for x in jax.tree.leaves(obs)]
        return jnp.stack([f(x) for x in parts for f in (jnp.sum, lambda x: jnp.sum(x**2))])

    return module


@pytest.mark.parametrize("spec", [VECTOR, IMAGE, BOTH], ids=["vector", "image", "both"])
def test_a_network_of_ones_own_sees_one_observation_at_a_time(spec):
    network = build(OWN + "features", spec, make=features)
    assert type(network.encoder) is Single
    obs = random_like(spec, 2, 3)
    own = features(KEY, spec)
    at = jax.tree.map(lambda x: x[1, 2], obs)
    expected = network.output(own(at))
    np.testing.assert_allclose(network(obs)[1, 2], expected, rtol=1e-5)
    np.testing.assert_allclose(network(at), expected, rtol=1e-5)


def test_an_equinox_module_is_a_network():
    def make(key, spec):
        return eqx.nn.MLP(spec.shape[0], 8, 16, 1, key=key)

    network = build(OWN + "make", VECTOR, make=make)
    assert network(random_like(VECTOR, 5)).shape == (5, 4)
    assert len(jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array))) == 6


@pytest.mark.parametrize(
    ("name", "spec", "options", "words"),
    [
        ("cnnn", VECTOR, {}, "network is 'cnnn'; accepted are auto, mlp, .*Did you mean 'cnn'"),
        ("gru+cnn", VECTOR, {}, "network is 'gru\\+cnn'; accepted are"),
        ("cnn+", IMAGE, {}, None),
        ("cnn", VECTOR, {}, "which sees images, and the observation is a vector of 3"),
        ("mlp", IMAGE, {}, "which sees vectors, and the observation is an image of 10 × 9 × 2"),
        ("gru", VECTOR, {"hidden": ()}, "hidden is \\(\\) with the network 'gru'"),
        ("own x", VECTOR, {}, "the network is 'own x'; accepted with it is network="),
        ("mlp", VECTOR, {"make": features}, "accepted with it is no network="),
        (
            "own x",
            VECTOR,
            {"make": lambda key, spec: lambda x: x @ jnp.zeros((4, 2))},
            "the network cannot see an observation of float32\\[3\\]",
        ),
        (
            "own x",
            VECTOR,
            {"make": lambda key, spec: jnp.sum},
            "the network makes .* accepted is a vector of features",
        ),
    ],
)
def test_what_fits_nothing_is_told_in_a_line(name, spec, options, words):
    if words is None:
        assert type(Architecture(name).build(KEY, spec, 2, gain=1.0)) is Encoded
        return
    with pytest.raises(UsageError, match=words) as error:
        Architecture(name, **options).build(KEY, spec, 2, gain=1.0)
    assert "\n" not in str(error.value)


def test_a_file_holds_all_but_what_makes_a_network():
    made = Architecture("cnn+gru", (8, 4), "relu", True)
    assert Architecture.from_json(made.to_json()) == made
    own = Architecture("own f", make=features)
    assert Architecture.from_json(own.to_json(), features).make is features
    with pytest.raises(UsageError, match="accepted with it is network="):
        Architecture.from_json(own.to_json())


def test_a_network_may_see_a_selection():
    selection = Selection((2, 0))
    obs = random_like(VECTOR, 4)
    np.testing.assert_array_equal(selection(obs), obs[:, [2, 0]])
    spec = selection.spec(VECTOR)
    assert spec.shape == (2,)
    inner = Architecture("gru", (4,)).build(KEY, spec, 1, gain=1.0)
    network = Selecting(inner, selection)
    changed = obs.at[:, 1].add(100)
    np.testing.assert_array_equal(outputs(network, obs), outputs(network, changed))
    assert (outputs(network, obs) != outputs(network, obs.at[:, 2].add(1))).all()
    both = random_like(BOTH, 4)
    assert Selection((), ("camera",))(both) is both["camera"]
    assert sorted(Selection((1,), ("camera",))(both)) == ["camera", "vector"]


@pytest.mark.parametrize("name", ["gru", "impala"])
def test_kfac_is_told_what_is_no_sequence_of_layers(name):
    network = build(name, VECTOR if name == "gru" else IMAGE)
    with pytest.raises(UsageError, match=r"K-FAC was asked for .*accepted are"):
        network.layers  # noqa: B018


def test_a_mask_is_no_part_of_what_is_seen():
    policy = mlp_policy(KEY, 3, sf.core.networks.CategoricalHead(2))
    seen = random_like(VECTOR, 4)
    critic = sf.mlp_critic(KEY, 3)
    masked = Observation(seen, jnp.ones((4, 2), bool))
    np.testing.assert_array_equal(critic.value(masked), critic.value(seen))
    assert policy.network(seen).shape == (4, 2)

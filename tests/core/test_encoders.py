"""Encoders of images against loops over pixels, the forms of images that they take, and what
conjugate gradient needs of them."""

import math
import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import surefoot as sf
from support.images import Encoded, convolved_by_hand, image_batch
from support.problems import KEY, vector
from support.suites import cases
from surefoot.core.local_model import LocalModel
from surefoot.core.networks import CNN, Impala
from surefoot.core.networks.convolution import Window
from surefoot.core.objectives import Surrogate

SMALL, LARGE = (8, 9, 2), (36, 38, 2)
ENCODERS = {"cnn": CNN, "impala": Impala}


@eqx.filter_jit
def encode(encoder, image):
    return encoder(image)


def make(kind, shape, seed=0, **options):
    """An encoder with weights of a fresh one's size and biases that are not zero."""
    rng = np.random.default_rng(seed)
    blank = eqx.filter_eval_shape(lambda: ENCODERS[kind](KEY, shape, **options))

    def filled(x):
        scale = (2 / len(x)) ** 0.5 if x.ndim > 1 else 0.3
        return jnp.asarray(scale * rng.normal(size=x.shape), x.dtype)

    return jax.tree.map(filled, blank)


def assert_close(found, expected):
    """In single precision, sums in another order."""
    expected = np.asarray(expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def relu(x):
    return np.maximum(x, 0)


def layers_of(encoder):
    pairs = zip(encoder.weights, encoder.biases, strict=True)
    return [(np.asarray(w), np.asarray(b)) for w, b in pairs]


def cnn_by_hand(encoder, windows, x):
    *convolutions, (v, c) = layers_of(encoder)
    for window, (w, b) in zip(windows, convolutions, strict=True):
        x = relu(convolved_by_hand(x, w, window) + b)
    return relu(x.reshape(len(x), -1) @ v + c)


def pooled_by_hand(x):
    """3 × 3 maxima two pixels apart, TensorFlow's SAME."""
    sides = x.shape[1:3]
    rows, columns = (math.ceil(side / 2) for side in sides)
    around = [2 * (n - 1) + 3 - side for n, side in zip((rows, columns), sides, strict=True)]
    found = np.zeros((len(x), rows, columns, x.shape[-1]))
    for r in range(rows):
        for c in range(columns):
            top, left = 2 * r - around[0] // 2, 2 * c - around[1] // 2
            seen = x[:, max(top, 0) : top + 3, max(left, 0) : left + 3]
            found[:, r, c] = seen.max(axis=(1, 2))
    return found


def impala_by_hand(encoder, x):
    layers = layers_of(encoder)
    same = Window(3, 1, 1)

    def convolution(x):
        w, b = layers.pop(0)
        return convolved_by_hand(x, w, same) + b

    for _ in range(3):
        x = pooled_by_hand(convolution(x))
        for _ in range(2):
            x = x + convolution(relu(convolution(relu(x))))
    w, b = layers.pop(0)
    assert not layers
    return relu(relu(x).reshape(len(x), -1) @ w + b)


def test_small_images_go_through_one_convolution_and_large_ones_through_three(x64):
    rng = np.random.default_rng(0)
    small = make("cnn", SMALL)
    x = rng.normal(size=(2, *SMALL))
    expected = cnn_by_hand(small, [Window(3)], x)
    np.testing.assert_allclose(encode(small, x), expected, rtol=1e-10, atol=1e-12)
    assert expected.shape == (2, 128)
    assert small.features == 128
    assert [w.shape for w in small.weights] == [(18, 16), (6 * 7 * 16, 128)]

    large = make("cnn", LARGE)
    x = rng.normal(size=(1, *LARGE))
    expected = cnn_by_hand(large, [Window(8, 4), Window(4, 2), Window(3)], x)
    np.testing.assert_allclose(encode(large, x), expected, rtol=1e-10, atol=1e-12)
    assert expected.shape == (1, 512)
    assert large.features == 512
    assert 0.2 < (expected > 0).mean() < 0.8


def test_the_atari_network_has_the_papers_sizes():
    encoder = eqx.filter_eval_shape(lambda: CNN(KEY, (84, 84, 4)))
    sizes = [(8 * 8 * 4, 32), (4 * 4 * 32, 64), (3 * 3 * 64, 64), (7 * 7 * 64, 512)]
    assert [w.shape for w in encoder.weights] == sizes
    assert [b.shape for b in encoder.biases] == [(out,) for _, out in sizes]


@pytest.mark.parametrize("shape", [(8, 5, 2), (7, 10, 1)])
def test_impala_is_three_sections_of_residual_blocks(shape, x64):
    encoder = make("impala", shape)
    assert [w.shape[1] for w in encoder.weights] == [16] * 5 + [32] * 10 + [256]
    x = np.random.default_rng(0).normal(size=(2, *shape))
    expected = impala_by_hand(encoder, x)
    np.testing.assert_allclose(encode(encoder, x), expected, rtol=1e-10, atol=1e-12)
    assert encoder.features == 256
    assert 0.2 < (expected > 0).mean() < 0.8


@pytest.mark.parametrize("kind", ENCODERS)
def test_weights_are_orthogonal_with_their_gain_and_biases_zero(kind):
    encoder = eqx.filter_jit(ENCODERS[kind])(KEY, SMALL)
    gains = [2**0.5] * len(encoder.weights)
    if kind == "impala":
        for block in (2, 4, 7, 9, 12, 14):
            gains[block] = (2 / 6) ** 0.5
    for w, b, gain in zip(encoder.weights, encoder.biases, gains, strict=True):
        w = np.asarray(w) / gain
        gram = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
        np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-5)
        assert (np.asarray(b) == 0).all()


@pytest.mark.parametrize("kind", ENCODERS)
def test_whole_numbers_become_0_to_1_and_others_are_kept(kind):
    encoder = make(kind, SMALL)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, size=(2, *SMALL)).astype(np.uint8)
    here = rng.random((2, *SMALL)) < 0.3
    for image, numbers in (
        (pixels, pixels.astype(np.float32) / np.float32(255)),
        (here, here.astype(np.float32)),
    ):
        found = np.asarray(encode(encoder, image))
        assert_close(found, encode(encoder, numbers))
        assert found.dtype == np.float32
    # Numbers of the same size that are no pixels.
    far = np.asarray(encode(encoder, pixels.astype(np.float32)))
    assert far.max() > 30 * np.asarray(encode(encoder, pixels)).max()


@pytest.mark.parametrize("kind", ENCODERS)
def test_leading_dimensions_are_any(kind):
    encoder = make(kind, SMALL)
    images = np.random.default_rng(0).normal(size=(2, 3, *SMALL)).astype(np.float32)
    rows = np.asarray(encode(encoder, images[0, :2]))
    block = np.asarray(encode(encoder, images))
    assert_close(block[0, :2], rows)
    assert_close(encode(encoder, images[0, 1]), rows[1])
    assert block.shape == (2, 3, encoder.features)


@pytest.mark.parametrize(
    ("encoder", "shape"),
    [(CNN, (7, 20, 3)), (CNN, (20, 20)), (CNN, (20, 20, 0)), (Impala, (4, 4, 3, 1))],
)
def test_a_shape_that_is_no_images_is_refused(encoder, shape):
    with pytest.raises(sf.UsageError, match=rf"is \({shape[0]}, .*by {encoder.__name__} is"):
        encoder(KEY, shape)


def test_a_perturbation_is_added_to_its_layers_output(x64):
    encoder = make("cnn", SMALL)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *SMALL))
    at_positions, at_units = rng.normal(size=(2, 42, 16)), rng.normal(size=(2, 128))

    @eqx.filter_jit
    def perturbed(encoder, x, perturbations):
        return encoder.with_layer_perturbations(x, perturbations)

    found, (patches, hidden) = perturbed(encoder, x, (at_positions, at_units))
    (w, b), (v, c) = layers_of(encoder)
    first = convolved_by_hand(x, w, Window(3)) + b + at_positions.reshape(2, 6, 7, 16)
    np.testing.assert_allclose(hidden, relu(first).reshape(2, -1), rtol=1e-10, atol=1e-12)
    expected = relu(relu(first).reshape(2, -1) @ v + c + at_units)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert patches.shape == (2, 42, 18)
    np.testing.assert_array_equal(patches.images, x)


@pytest.mark.parametrize("activation", [jnp.tanh, jax.nn.relu, jax.nn.gelu])
def test_an_encoder_can_be_pickled(activation):
    encoder = make("cnn", SMALL, activation=activation)
    again = pickle.loads(pickle.dumps(encoder))
    assert again.activation is activation
    assert eqx.tree_equal(again, encoder)
    impala = make("impala", SMALL)
    assert eqx.tree_equal(pickle.loads(pickle.dumps(impala)), impala)


@pytest.mark.parametrize("kind", cases(ENCODERS, fast=["cnn"]))
def test_a_fisher_product_is_the_hessian_of_the_kl(kind, x64):
    policy = Encoded.of(lambda: ENCODERS[kind](KEY, SMALL))
    batch = image_batch(policy, SMALL)

    @eqx.filter_jit
    def products(policy, batch, v):
        def kl(theta):
            weight = batch.weight / jnp.sum(batch.weight)
            return weight @ policy(batch.obs).kl(theta(batch.obs))

        return LocalModel(Surrogate(), policy, batch).fvp(v), jax.jvp(jax.grad(kl), (policy,), (v,))

    rng = np.random.default_rng(1)
    v = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)), policy)
    product, (_, hessian) = products(policy, batch, v)
    product, hessian = vector(product), vector(hessian)
    assert np.linalg.norm(product - hessian) <= 1e-9 * np.linalg.norm(hessian)
    assert np.linalg.norm(hessian) > 1e-3


@pytest.mark.parametrize("kind", cases(ENCODERS, fast=["cnn"]))
def test_a_population_sees_each_its_own_images(kind):
    encoders = [make(kind, SMALL, seed) for seed in range(3)]
    images = np.random.default_rng(0).normal(size=(3, 2, *SMALL)).astype(np.float32)
    stacked = jax.tree.map(lambda *x: np.stack(x), *encoders)
    own = eqx.filter_jit(eqx.filter_vmap(lambda encoder, image: encoder(image)))(stacked, images)
    for found, encoder, image in zip(own, encoders, images, strict=True):
        assert_close(found, encode(encoder, image))

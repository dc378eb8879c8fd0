"""Fully connected layers: their normalization, and the activations that have names."""

import copy
import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from support.problems import KEY
from surefoot.core.networks import ACTIVATIONS, MLP

SIZES = (3, 5, 4, 2)
#: Formulas of their papers.
FORMULAS = {
    "tanh": np.tanh,
    "relu": lambda x: np.where(x > 0, x, 0),
    "swish": lambda x: x * special.expit(x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
}


@eqx.filter_jit
def perturbed(network, x, perturbations):
    return network.with_layer_perturbations(x, perturbations)


@eqx.filter_jit
def outputs(network, x):
    return network(x)


def make(**options):
    blank = eqx.filter_eval_shape(lambda: MLP(KEY, SIZES, output_gain=1.0, **options))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), x.dtype), blank)


def normalized_by_hand(x):
    rows = [(row - row.mean()) / np.sqrt(row.var() + 1e-5) for row in x.reshape(-1, x.shape[-1])]
    return np.stack(rows).reshape(x.shape)


@pytest.mark.parametrize("batch", [(7,), (2, 3)])
def test_hidden_layers_are_normalized_before_the_activation(batch, x64):
    network = make(layer_norm=True)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(*batch, 3))
    perturbations = tuple(rng.normal(size=(*batch, size)) for size in SIZES[1:])
    found, inputs = perturbed(network, x, perturbations)
    expected = x
    for i, ((w, b), perturbation) in enumerate(zip(network.layers, perturbations, strict=True)):
        if i > 0:
            expected = np.tanh(normalized_by_hand(expected))
        np.testing.assert_allclose(inputs[i], expected, rtol=1e-10, atol=1e-12)
        expected = expected @ np.asarray(w) + np.asarray(b) + perturbation
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_normalization_has_no_parameters_and_leaves_the_scale_of_a_layer_free(x64):
    network, plain = make(layer_norm=True), make()
    shapes = [leaf.shape for leaf in jax.tree.leaves(network)]
    assert shapes == [leaf.shape for leaf in jax.tree.leaves(plain)]
    x = np.random.default_rng(1).normal(size=(7, 3))
    scaled = eqx.tree_at(
        lambda n: (n.weights[0], n.biases[0]), network, replace_fn=lambda a: 1000 * a
    )
    np.testing.assert_allclose(outputs(scaled, x), outputs(network, x), rtol=1e-3, atol=1e-3)
    assert np.abs(np.asarray(outputs(network, x)) - outputs(plain, x)).max() > 0.1
    # Units that agree are no division by zero.
    alike = eqx.tree_at(lambda n: (n.weights[0], n.biases[0]), network, replace_fn=lambda a: 0 * a)
    assert np.isfinite(np.asarray(outputs(alike, x))).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_its_formula_and_pickles(name, x64):
    activation = ACTIVATIONS[name]
    x = np.linspace(-4, 4, 41)
    np.testing.assert_allclose(jax.jit(activation)(x), FORMULAS[name](x), rtol=1e-10, atol=1e-12)
    network = make(activation=activation)
    for again in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        assert again.activation is activation
        assert eqx.tree_equal(again, network)

"""K-FAC: the natural gradient with a Fisher matrix that falls apart into small factors.

For a layer x ↦ x̄ W̄ (x̄ the input with a 1 appended, W̄ the weights with the bias as last row) the
Fisher block is E[x̄x̄ᵀ ⊗ ∂∂ᵀ], ∂ the derivative of log π(a|s) with respect to the layer's output.
K-FAC takes input and derivative as independent, and layers as unrelated: F ≈ A ⊗ S with A = E[x̄x̄ᵀ]
and S = E[∂∂ᵀ], so that d = A⁻¹ G S⁻¹ for the gradient G of W̄ (Martens & Grosse 2015; Wu et al. 2017
for policies). The actions behind ∂ are sampled from the policy: the batch's own would give the
empirical Fisher matrix, which is another one. Parameters outside the layers, such as a log σ that
does not depend on the state, keep their exact block.

A convolution has a patch x̄ and a derivative ∂ at each of its P positions. With derivatives that are
uncorrelated between positions, and statistics that are the same at all, its block is Ω ⊗ Γ with
Ω = E[Σ_p x̄x̄ᵀ] and Γ = E[(1/P) Σ_p ∂∂ᵀ] in the places of A and S (Grosse & Martens 2016).

A and S are exponential averages over batches. The damping λ is split between the factors as
(A + π√λ I) ⊗ (S + √λ/π I), π² the ratio of their mean eigenvalues.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import optax
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, Float, Int, PRNGKeyArray

from surefoot.core.data.types import Params, Scalar
from surefoot.core.distributions import Distribution
from surefoot.core.geometry.base import Geometry
from surefoot.core.local_model import LocalModel, dot
from surefoot.core.networks import Patches


class LayerStatistics(NamedTuple):
    """For each layer x ↦ x W + b of the network, one entry a row of the batch: the gradient of
    √p·log π(a|s) with respect to W, p the row's share of the batch's weight, is the outer product
    of the two, and the sum of P such products where the layer is a convolution of P positions."""

    inputs: tuple[Float[Array, "B _"] | Patches, ...]
    """The layer's input x; of a convolution, the patches [B, P, …]."""
    cotangents: tuple[Float[Array, "B _"] | Float[Array, "B _ _"], ...]
    """Derivative of √p·log π(a|s) with respect to x W + b, for a ~ π(·|s), not the batch's a."""


class KFACState(NamedTuple):
    """Averaged factors, one of each a layer."""

    inputs: tuple[Float[Array, "_ _"], ...]
    """A = E[x̄x̄ᵀ], [in + 1, in + 1]; Ω of a convolution."""
    cotangents: tuple[Float[Array, "_ _"], ...]
    """S = E[∂∂ᵀ], [out, out]; Γ of a convolution."""
    batches: Int[Array, ""]
    """Batches averaged so far."""


class KFACInfo(NamedTuple):
    """What a K-FAC direction reports."""

    grad_norm: Float[Array, ""]
    """‖g‖, Euclidean norm of the objective's gradient."""
    grad_cosine: Float[Array, ""]
    """gᵀd/(‖g‖‖d‖): how far the geometry turned the gradient; 0 for a zero gradient."""


class KFAC(Geometry):
    """d ≈ (F̃ + λI)⁻¹ g with the Kronecker-factored F̃ and λ = `damping`, for networks that have
    `layers` and `with_layer_perturbations`, which takes zeros as numbers, too. The factored damping
    is A ⊗ S + λI + √λ(πI ⊗ S + A ⊗ I/π): the same λ damps more than it does in `Fisher`. A batch
    that is not finite enters no average."""

    damping: Scalar = eqx.field(converter=jnp.asarray, default=0.1)
    decay: Scalar = eqx.field(converter=jnp.asarray, default=0.95)
    """Weight of the past in the averages, once 1/(1 − decay) batches have been seen; before, all
    batches count alike."""

    def init(self, params: Params) -> KFACState:
        def zeros(size: int, like: Array) -> Array:
            return jnp.zeros((size, size), like.dtype)

        return KFACState(
            inputs=tuple(zeros(w.shape[0] + 1, w) for w, _ in params.layers),
            cotangents=tuple(zeros(w.shape[1], w) for w, _ in params.layers),
            batches=jnp.zeros((), jnp.int32),
        )

    def direction(
        self, key: PRNGKeyArray, local: LocalModel, state: KFACState
    ) -> tuple[Params, KFACState, KFACInfo]:
        state = self._average(state, layer_statistics(local, key), local.batch.weight)
        solved = []
        for (w, b), a, s in zip(local.grad.layers, state.inputs, state.cotangents, strict=True):
            stacked = _solve(a, s, jnp.concatenate([w, b[None]]), self.damping)
            solved += [stacked[:-1], stacked[-1]]
        direction = self._rest(local)
        direction = eqx.tree_at(layer_leaves, direction, solved, is_leaf=lambda x: x is None)

        norms = optax.tree.norm(local.grad) * optax.tree.norm(direction)
        positive = norms > 0
        cosine = dot(local.grad, direction) / jnp.where(positive, norms, 1.0)
        info = KFACInfo(optax.tree.norm(local.grad), jnp.where(positive, cosine, 0.0))
        return direction, state, info

    def _average(
        self, state: KFACState, layers: LayerStatistics, weight: Float[Array, " B"]
    ) -> KFACState:
        total = jnp.sum(weight)
        share = weight / jnp.maximum(total, 1e-30)
        new = state._replace(
            inputs=tuple(_input_factor(x, share) for x in layers.inputs),
            cotangents=tuple(map(_cotangent_factor, layers.cotangents)),
        )
        # What enters an average stays in it: a batch with a NaN must not. Nothing cancels one in a
        # sum of squares.
        squares = sum(jnp.trace(moment) for moment in (*new.inputs, *new.cotangents))
        counts = (total > 0) & jnp.isfinite(squares)
        batches = state.batches + counts.astype(state.batches.dtype)
        # Until the average is 1/(1 − decay) batches long it is the plain mean of all of them.
        past = jnp.minimum(self.decay, 1.0 - 1.0 / jnp.maximum(batches, 1).astype(total.dtype))

        def mixed(a: Array, b: Array) -> Array:
            return jnp.where(counts, past * a + (1.0 - past) * b, a)

        return KFACState(
            inputs=jax.tree.map(mixed, state.inputs, new.inputs),
            cotangents=jax.tree.map(mixed, state.cotangents, new.cotangents),
            batches=batches,
        )

    def _rest(self, local: LocalModel) -> Params:
        """The damped exact natural direction of the parameters outside the layers, `None` within
        them."""
        everything = jax.tree.map(lambda _: True, local.grad)
        outside = eqx.tree_at(layer_leaves, everything, replace_fn=lambda _: False)
        grad, unravel = jax.flatten_util.ravel_pytree(eqx.filter(local.grad, outside))
        if grad.size == 0:
            return unravel(grad)
        damped = fisher_block(local, outside) + self.damping * jnp.eye(grad.size, dtype=grad.dtype)
        return unravel(cho_solve(cho_factor(damped), grad))


def layer_statistics(local: LocalModel, key: PRNGKeyArray) -> LayerStatistics:
    """Inputs and cotangents of every layer of the network, with actions sampled from π_θ."""
    layers = local.params.layers

    def unperturbed() -> tuple[Any, ...]:
        return local.params.with_layer_perturbations(local.batch.obs, (0.0,) * len(layers))[1]

    zeros = tuple(
        jnp.zeros((*x.shape[:-1], b.shape[-1]), b.dtype)
        for x, (_, b) in zip(jax.eval_shape(unperturbed), layers, strict=True)
    )

    def log_prob(perturbations: tuple[Array, ...]) -> tuple[Array, tuple[Any, ...]]:
        dist, inputs = local.params.with_layer_perturbations(local.batch.obs, perturbations)
        action = jax.lax.stop_gradient(dist.sample(key))
        return jnp.sum(jnp.sqrt(local.share) * dist.log_prob(action)), inputs

    cotangents, inputs = jax.grad(log_prob, has_aux=True)(zeros)
    return LayerStatistics(inputs, cotangents)


def fisher_block(local: LocalModel, chosen: Params) -> Float[Array, "n n"]:
    """The dense block of F(θ) that belongs to the parameters where `chosen` is true, raveled. One
    product each, one after the other: meant for a few."""
    theta, static = eqx.partition(local.params, eqx.is_inexact_array)
    theta, rest = eqx.partition(theta, chosen)
    vector, unravel = jax.flatten_util.ravel_pytree(theta)

    def distribution(vector: Float[Array, " n"]) -> Distribution:
        return eqx.combine(unravel(vector), rest, static)(local.batch.obs)

    dist, jvp = jax.linearize(distribution, vector)
    vjp = jax.linear_transpose(jvp, vector)
    # One after the other: side by side they are more than fits into a cache.
    return jax.lax.map(
        lambda v: vjp(local.weighted(dist.metric(jvp(v))))[0],
        jnp.eye(vector.size, dtype=vector.dtype),
    )


def _input_factor(
    x: Float[Array, "B in"] | Patches, share: Float[Array, " B"]
) -> Float[Array, "_ _"]:
    """A or Ω of one batch."""
    if isinstance(x, Patches):
        return _sum_over_positions(x, share)
    return _with_bias(_gram(x, x * share[:, None]), share @ x)


def _sum_over_positions(x: Patches, share: Float[Array, " B"]) -> Float[Array, "_ _"]:
    """Ω. The patches of a batch may not fit into memory, and those of a row fit into a cache: one
    row after the other."""
    size = x.shape[-1] + 1

    def add(total: Float[Array, "_ _"], row: tuple[Patches, Array]) -> tuple[Array, None]:
        x, share = row
        with_one = jnp.pad(x.array(), ((0, 0), (0, 1)), constant_values=1)
        return total + with_one.T @ (with_one * share), None

    return jax.lax.scan(add, jnp.zeros((size, size), share.dtype), (x, share))[0]


def _cotangent_factor(x: Float[Array, "B out"] | Float[Array, "B P out"]) -> Float[Array, "_ _"]:
    """S or Γ of one batch."""
    if x.ndim == 2:
        return _gram(x, x)
    at_positions = x.reshape(-1, x.shape[-1])
    return _gram(at_positions, at_positions) / x.shape[1]


def _gram(x: Float[Array, "B n"], y: Float[Array, "B n"]) -> Float[Array, "n n"]:
    """xᵀ y."""
    # Laid out as xᵀ first: a product that reads both factors down their columns is slow on a CPU.
    return jax.lax.optimization_barrier(x.T) @ y


def _with_bias(moment: Float[Array, "n n"], mean: Float[Array, " n"]) -> Array:
    """E[x̄x̄ᵀ] from E[xxᵀ] and E[x], [n + 1, n + 1]."""
    return jnp.block([[moment, mean[:, None]], [mean, jnp.ones((), mean.dtype)]])


def layer_leaves(tree: Params) -> list[Any]:
    """Weights and biases of all layers, in their order."""
    return [leaf for pair in tree.layers for leaf in pair]


def _solve(
    a: Float[Array, "n n"], s: Float[Array, "m m"], g: Float[Array, "n m"], damping: Scalar
) -> Float[Array, "n m"]:
    """(A + π√λ I)⁻¹ G (S + √λ/π I)⁻¹."""
    mean_a, mean_s = jnp.trace(a) / a.shape[0], jnp.trace(s) / s.shape[0]
    both = (mean_a > 0) & (mean_s > 0)
    ratio = jnp.sqrt(jnp.where(both, mean_a, 1.0) / jnp.where(both, mean_s, 1.0))
    root = jnp.sqrt(damping)
    left = cho_factor(a + ratio * root * jnp.eye(a.shape[0], dtype=a.dtype))
    right = cho_factor(s + root / ratio * jnp.eye(s.shape[0], dtype=s.dtype))
    return cho_solve(right, cho_solve(left, g).T).T

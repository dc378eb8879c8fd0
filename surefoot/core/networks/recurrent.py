"""Memories: what a network keeps from one row of an episode to the next.

A memory starts afresh where an episode starts, also inside a segment. Its products with the input
are computed for all rows of a segment at once; what is left for the scan along time are those with
the memory itself. Recurrent weights are orthogonal with gain 1, each gate's on its own, the others
likewise; biases are zero, but for the LSTM's forget gate.
"""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray


class Memory(eqx.Module):
    """Features of a sequence of vectors, a step at a time."""

    weight: Float[Array, "in gates*size"]
    recurrent_weight: Float[Array, "size gates*size"]
    bias: Float[Array, " gates*size"]

    @abc.abstractmethod
    def initial(self, count: int) -> Any:
        """What is kept at the start of an episode, leaves [count, size]."""

    @abc.abstractmethod
    def advance(self, gates: Float[Array, "N gates*size"], kept: Any) -> tuple[Array, Any]:
        """(features [N, size], what is kept afterwards) for x W + b."""

    def step(
        self, x: Float[Array, "N in"], starts: Bool[Array, " N"], kept: Any
    ) -> tuple[Float[Array, "N size"], Any]:
        """(features, what is kept afterwards); where `starts`, `kept` is not looked at."""
        return self.advance(x @ self.weight + self.bias, self._since(starts, kept))

    def unroll(
        self, x: Float[Array, "S L in"], starts: Bool[Array, "S L"], kept: Any
    ) -> tuple[Float[Array, "S L size"], Any]:
        """`L` steps, from what was kept on, leaves [S, size]: (features, what is kept after each
        step, leaves [S, L, size])."""
        gates = x @ self.weight + self.bias

        def one(kept: Any, row: tuple[Array, Array]) -> tuple[Any, Any]:
            now, first = row
            features, kept = self.advance(now, self._since(first, kept))
            return kept, (features, kept)

        rows = jnp.swapaxes(gates, 0, 1), jnp.swapaxes(starts, 0, 1)
        _, seen = jax.lax.scan(one, kept, rows)
        features, after = jax.tree.map(lambda y: jnp.swapaxes(y, 0, 1), seen)
        return features, after

    def _since(self, starts: Bool[Array, " N"], kept: Any) -> Any:
        """What is kept, but for where an episode starts."""
        initial = self.initial(starts.shape[0])
        return jax.tree.map(lambda a, b: jnp.where(starts[:, None], a, b), initial, kept)


class GRU(Memory):
    """Gated recurrent units (Cho et al. 2014), the reset gate after the product:

    r, z = σ(x W_r + h U_r + b_r), σ(x W_z + h U_z + b_z)
    n = tanh(x W_n + b_n + r ⊙ (h U_n + c))
    h′ = (1 − z) ⊙ n + z ⊙ h
    """

    candidate_bias: Float[Array, " size"]

    def __init__(self, key: PRNGKeyArray, inputs: int, size: int) -> None:
        self.weight, self.recurrent_weight = _initial_weights(key, inputs, size, 3)
        self.bias, self.candidate_bias = jnp.zeros(3 * size), jnp.zeros(size)

    def initial(self, count: int) -> Float[Array, "count size"]:
        size, dtype = self.candidate_bias.shape[0], self.candidate_bias.dtype
        return jnp.zeros((count, size), dtype)

    def advance(self, gates: Float[Array, "N gates"], kept: Array) -> tuple[Array, Array]:
        r, z, n = jnp.split(gates, 3, axis=-1)
        into_r, into_z, into_n = jnp.split(kept @ self.recurrent_weight, 3, axis=-1)
        r, z = jax.nn.sigmoid(r + into_r), jax.nn.sigmoid(z + into_z)
        new = jnp.tanh(n + r * (into_n + self.candidate_bias))
        kept = (1.0 - z) * new + z * kept
        return kept, kept


class LSTM(Memory):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000), b_f = 1 at first:

    i, f, o = σ(x W_· + h U_· + b_·);  g = tanh(x W_g + h U_g + b_g)
    c′ = f ⊙ c + i ⊙ g;  h′ = o ⊙ tanh(c′)
    """

    def __init__(self, key: PRNGKeyArray, inputs: int, size: int) -> None:
        self.weight, self.recurrent_weight = _initial_weights(key, inputs, size, 4)
        self.bias = jnp.zeros(4 * size).at[size : 2 * size].set(1.0)

    def initial(self, count: int) -> tuple[Array, Array]:
        size, dtype = self.recurrent_weight.shape[0], self.bias.dtype
        return jnp.zeros((count, size), dtype), jnp.zeros((count, size), dtype)

    def advance(
        self, gates: Float[Array, "N gates"], kept: tuple[Array, Array]
    ) -> tuple[Array, tuple[Array, Array]]:
        h, c = kept
        i, f, o, g = jnp.split(gates + h @ self.recurrent_weight, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return h, (h, c)


def _initial_weights(
    key: PRNGKeyArray, inputs: int, size: int, gates: int
) -> tuple[Float[Array, "in gates"], Float[Array, "size gates"]]:
    orthogonal = jax.nn.initializers.orthogonal()
    keys = jax.random.split(key, 2 * gates)
    from_input = [orthogonal(k, (inputs, size)) for k in keys[:gates]]
    from_memory = [orthogonal(k, (size, size)) for k in keys[gates:]]
    return jnp.concatenate(from_input, axis=1), jnp.concatenate(from_memory, axis=1)

"""Memories: recurrent cells that carry a state from row to row of an episode.

Where a row starts an episode, the state before it is the initial one, zeros, whatever came before.
A cell acts row by row (`step`), and learns from segments of rows (`unroll`), within which episodes
may start. What the input contributes is computed for all rows of a segment at once.

Recurrent weights are orthogonal for each gate, and so are those of the input; biases are zero but
for that of the LSTM's forget gate, 1.
"""

from __future__ import annotations

import abc
from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from surefoot.core.networks.matmul import matmul_with_transpose

#: What a memory carries from row to row: a pytree of arrays [N, size].
MemoryState: TypeAlias = PyTree[Any]

#: How many rows: a number, or a symbol in a program for batches of any size.
Rows: TypeAlias = int | Any


class Memory(eqx.Module):
    """A recurrent cell. N are rows at one time, S segments of L rows each."""

    input_weight: eqx.AbstractVar[Float[Array, "in gates"]]
    bias: eqx.AbstractVar[Float[Array, " gates"]]

    @property
    @abc.abstractmethod
    def features(self) -> int:
        """How many features a row has, and numbers each part of the state."""

    @abc.abstractmethod
    def initial(self, n: Rows) -> MemoryState:
        """The state before the first row of n episodes: zeros."""

    @abc.abstractmethod
    def _next(self, projected: Float[Array, "N gates"], state: MemoryState) -> MemoryState:
        """The state after a row, of x W + b and the state before."""

    @abc.abstractmethod
    def _read(self, state: MemoryState) -> Float[Array, "*rows size"]:
        """A row's features, of the state after it."""

    def step(
        self, x: Float[Array, "N in"], starts: Bool[Array, " N"], state: MemoryState
    ) -> tuple[Float[Array, "N size"], MemoryState]:
        """(features, state after the row); where it starts an episode, from the initial state."""
        state = self._next(self._projected(x), self._restarted(starts, state))
        return self._read(state), state

    def unroll(
        self, x: Float[Array, "S L in"], starts: Bool[Array, "S L"], state: MemoryState
    ) -> tuple[Float[Array, "S L size"], MemoryState]:
        """(features, state after each row) of segments, from the states [S, …] before them."""
        segments, length, inputs = x.shape
        projected = self._projected(x.reshape(-1, inputs)).reshape(segments, length, -1)

        def row(state: MemoryState, row: Any) -> tuple[MemoryState, MemoryState]:
            projected, starts = row
            state = self._next(projected, self._restarted(starts, state))
            return state, state

        _, states = jax.lax.scan(row, state, (projected.swapaxes(0, 1), starts.T))
        states = jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), states)
        return self._read(states), states

    def _projected(self, x: Float[Array, "N in"]) -> Float[Array, "N gates"]:
        return matmul_with_transpose(x, self.input_weight) + self.bias[None]

    def _restarted(self, starts: Bool[Array, " N"], state: MemoryState) -> MemoryState:
        # One observation that is not finite would be remembered to the end of the episode.
        lost = ~jnp.all(jnp.isfinite(jnp.stack(jax.tree.leaves(state))), axis=(0, 2))

        def chosen(initial: Array, leaf: Array) -> Array:
            return jnp.where((starts | lost)[:, None], initial, leaf)

        return jax.tree.map(chosen, self.initial(starts.shape[0]), state)


class GRU(Memory):
    """A gated recurrent unit (Cho et al. 2014), with the reset gate after the product:

    r = σ(x W_r + b_r + h U_r), z = σ(x W_z + b_z + h U_z),
    n = tanh(x W_n + b_n + r ⊙ (h U_n + c)), h′ = (1 − z) ⊙ n + z ⊙ h.

    The state is h, and so are the features.
    """

    input_weight: Float[Array, "in gates"]
    """W, side by side r, z and n."""
    bias: Float[Array, " gates"]
    """b."""
    state_weight: Float[Array, "size gates"]
    """U."""
    new_bias: Float[Array, " size"]
    """c."""

    def __init__(self, key: PRNGKeyArray, inputs: int, size: int) -> None:
        self.input_weight, self.state_weight = _weights(key, inputs, size, gates=3)
        self.bias = jnp.zeros(3 * size)
        self.new_bias = jnp.zeros(size)

    @property
    def features(self) -> int:
        return self.state_weight.shape[0]

    def initial(self, n: Rows) -> Float[Array, "n size"]:
        return jnp.zeros((n, self.features), self.state_weight.dtype)

    def _next(
        self, projected: Float[Array, "N gates"], state: Float[Array, "N size"]
    ) -> Float[Array, "N size"]:
        from_x = jnp.split(projected, 3, axis=-1)
        from_h = jnp.split(state @ self.state_weight, 3, axis=-1)
        reset = jax.nn.sigmoid(from_x[0] + from_h[0])
        update = jax.nn.sigmoid(from_x[1] + from_h[1])
        new = jnp.tanh(from_x[2] + reset * (from_h[2] + self.new_bias[None]))
        return (1 - update) * new + update * state

    def _read(self, state: Float[Array, "*rows size"]) -> Float[Array, "*rows size"]:
        return state


class LSTMState(NamedTuple):
    """What an LSTM carries."""

    hidden: Float[Array, "*rows size"]
    """h, the features."""
    cell: Float[Array, "*rows size"]
    """c."""


class LSTM(Memory):
    """A long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000, forget gate):

    i = σ(x W_i + b_i + h U_i), f = σ(x W_f + b_f + h U_f),
    g = tanh(x W_g + b_g + h U_g), o = σ(x W_o + b_o + h U_o),
    c′ = f ⊙ c + i ⊙ g, h′ = o ⊙ tanh(c′).

    b_f is 1 at first: what is remembered lasts.
    """

    input_weight: Float[Array, "in gates"]
    """W, side by side i, f, g and o."""
    bias: Float[Array, " gates"]
    """b."""
    state_weight: Float[Array, "size gates"]
    """U."""

    def __init__(self, key: PRNGKeyArray, inputs: int, size: int) -> None:
        self.input_weight, self.state_weight = _weights(key, inputs, size, gates=4)
        self.bias = jnp.zeros(4 * size).at[size : 2 * size].set(1.0)

    @property
    def features(self) -> int:
        return self.state_weight.shape[0]

    def initial(self, n: Rows) -> LSTMState:
        zeros = jnp.zeros((n, self.features), self.state_weight.dtype)
        return LSTMState(zeros, zeros)

    def _next(self, projected: Float[Array, "N gates"], state: LSTMState) -> LSTMState:
        gates = projected + state.hidden @ self.state_weight
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        cell = jax.nn.sigmoid(f) * state.cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        return LSTMState(jax.nn.sigmoid(o) * jnp.tanh(cell), cell)

    def _read(self, state: LSTMState) -> Float[Array, "*rows size"]:
        return state.hidden


def _weights(
    key: PRNGKeyArray, inputs: int, size: int, *, gates: int
) -> tuple[Float[Array, "in gates"], Float[Array, "size gates"]]:
    """Those of the input and those of the state, each gate's orthogonal."""
    orthogonal = jax.nn.initializers.orthogonal()
    keys = jax.random.split(key, (2, gates))
    of_input = [orthogonal(k, (inputs, size)) for k in keys[0]]
    of_state = [orthogonal(k, (size, size)) for k in keys[1]]
    return jnp.concatenate(of_input, axis=1), jnp.concatenate(of_state, axis=1)

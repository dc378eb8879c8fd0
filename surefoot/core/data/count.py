"""Exact counts of any size, in arrays of 32 bits."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

_BASE = 2**30


class Count(NamedTuple):
    """An integer from 0 to 2⁶¹ − 1, `high`·2³⁰ + `low`. JAX has no int64 by default, int32 ends at
    2³¹ and float32 skips integers from 2²⁴ on."""

    high: Int[Array, ""]
    low: Int[Array, ""]

    @classmethod
    def of(cls, number: int) -> Count:
        """That number."""
        high, low = divmod(number, _BASE)
        return cls(jnp.asarray(high, jnp.int32), jnp.asarray(low, jnp.int32))

    def plus(self, number: Int[Array, ""]) -> Count:
        """The sum with an int32 in [0, 2³⁰]."""
        low = self.low + number
        carry = (low >= _BASE).astype(jnp.int32)
        return Count(self.high + carry, low - carry * _BASE)

    def rounded(self) -> Float[Array, ""]:
        """The nearest floating-point number, to within one unit in its last place."""
        number = jnp.result_type(float)
        return self.high.astype(number) * _BASE + self.low.astype(number)

    def __int__(self) -> int:
        return int(self.high) * _BASE + int(self.low)

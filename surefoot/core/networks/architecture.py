"""`Architecture`: a network but for its weights, by its name and what decides its size.

A name is an encoder, a memory, or both: "mlp", "cnn", "impala"; "gru", "lstm"; "cnn+gru". Where no
encoder is named, images get a "cnn" and everything else an "mlp". The parts of an observation have
an encoder each, whose features are joined.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from surefoot.common.errors import UsageError, closest, in_short
from surefoot.core.networks.activations import ACTIVATIONS
from surefoot.core.networks.base import Network
from surefoot.core.networks.cnn import CNN
from surefoot.core.networks.composed import (
    Encoded,
    Joined,
    Recurrent,
    Single,
    vector_encoder,
)
from surefoot.core.networks.impala import Impala
from surefoot.core.networks.mlp import MLP
from surefoot.core.networks.recurrent import GRU, LSTM

IMAGE_ENCODERS: Mapping[str, Callable[..., Any]] = {"cnn": CNN, "impala": Impala}
ENCODERS = ("mlp", *IMAGE_ENCODERS)
MEMORIES: Mapping[str, Callable[..., Any]] = {"gru": GRU, "lstm": LSTM}

#: What the name of a network of one's own begins with.
OWN = "own "

#: Of one encoded observation, a vector or an image, or a dict of them: shapes and types.
Spec = Any

#: A user's network: a key and the `Spec`, to a module from one encoded observation to a vector of
#: features.
MakeNetwork = Callable[[PRNGKeyArray, Any], Callable[[Any], Array]]


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A network but for its weights. Raises `UsageError` for a name that is none."""

    name: str = "auto"
    """An encoder, a memory, or "ENCODER+MEMORY"; "auto": an encoder that fits the observation;
    "own …": that of `make`."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the layers that see vectors; with a memory, the last one is the memory's."""
    activation: str = "tanh"
    """Of those layers."""
    layer_norm: bool = False
    """Whether their inputs to the activation are normalized (Ba et al. 2016)."""
    make: MakeNetwork | None = dataclasses.field(default=None, compare=False)
    """Makes the module of a network of one's own."""

    def __post_init__(self) -> None:
        if self.name.startswith(OWN) != (self.make is not None):
            accepted = "no network=" if self.make else "network=, what made it"
            raise UsageError(f"the network is {self.name!r}; accepted with it is {accepted}")
        encoder, memory = self._named
        for part, known in ((encoder, ("", *ENCODERS)), (memory, ("", *MEMORIES))):
            if part not in known:
                every = (*ENCODERS, *MEMORIES)
                raise UsageError(
                    f"network is {self.name!r}; accepted are auto, {', '.join(every)}, and "
                    f"ENCODER+MEMORY, cnn+gru for instance.{closest(part, every)}"
                )
        if memory and not self.hidden:
            raise UsageError(
                f"hidden is () with the network {self.name!r}; accepted is one number or more, of "
                "which the last is the size of the memory"
            )

    def to_json(self) -> dict[str, Any]:
        """All but what makes a network of one's own, of which no file can hold more than a name."""
        return {
            "name": self.name,
            "hidden": list(self.hidden),
            "activation": self.activation,
            "layer_norm": self.layer_norm,
        }

    @classmethod
    def from_json(cls, told: Any, make: MakeNetwork | None = None) -> Architecture:
        """Back; `make` makes the network, if that is one of the user's own. Raises `UsageError`
        where it is needed and not given, and others where this is no architecture."""
        if told["activation"] not in ACTIVATIONS:
            raise ValueError(f"its activation is {told['activation']!r}")
        hidden = tuple(int(width) for width in told["hidden"])
        return cls(told["name"], hidden, told["activation"], bool(told["layer_norm"]), make)

    @property
    def _named(self) -> tuple[str, str]:
        """(encoder, memory), "" where there is none in the name."""
        if self.make is not None or self.name == "auto":
            return "", ""
        first, plus, second = self.name.partition("+")
        if not plus and first in MEMORIES:
            return "", first
        return first, second if plus else ""

    @property
    def has_memory(self) -> bool:
        """Whether its networks have a memory."""
        return bool(self._named[1])

    def build(self, key: PRNGKeyArray, spec: Spec, outputs: int, *, gain: float) -> Network:
        """A network with initial weights, from observations like `spec` to so many outputs."""
        encoder, memory = self._named
        options: dict[str, Any] = {
            "activation": ACTIVATIONS[self.activation],
            "layer_norm": self.layer_norm,
        }
        plain = self.make is None and not memory and encoder in ("", "mlp") and _is_vector(spec)
        if plain:
            sizes = (spec.shape[0], *self.hidden, outputs)
            return MLP(key, sizes, output_gain=gain, **options)
        encoder_key, memory_key, output_key = jax.random.split(key, 3)
        if self.make is not None:
            dimensions = jax.tree.map(lambda x: len(x.shape), spec)
            module: Any = Single(self.make(encoder_key, spec), dimensions)
        else:
            widths = self.hidden[:-1] if memory else self.hidden
            module = _encoder(encoder_key, spec, encoder, widths, options)
        size = _features(module, spec)
        if not memory:
            return Encoded(module, MLP(output_key, (size, outputs), output_gain=gain))
        cell = MEMORIES[memory](memory_key, size, self.hidden[-1])
        last = MLP(output_key, (self.hidden[-1], outputs), output_gain=gain)
        return Recurrent(module, cell, last)


def _is_vector(part: Any) -> bool:
    return isinstance(part, jax.ShapeDtypeStruct) and len(part.shape) == 1


def _encoder(
    key: PRNGKeyArray, spec: Spec, name: str, hidden: tuple[int, ...], options: dict[str, Any]
) -> Any:
    """An encoder for each part of the observation."""
    if isinstance(spec, dict):
        keys = jax.random.split(key, len(spec))
        parts = zip(keys, sorted(spec), strict=True)
        # A vector beside an image is seen by layers, whatever sees the image.
        return Joined(
            {
                k: _encoder(own, spec[k], "" if _is_vector(spec[k]) else name, hidden, options)
                for own, k in parts
            }
        )
    if _is_vector(spec):
        if name not in ("", "mlp"):
            raise UsageError(
                f"network is {name!r}, which sees images, and the observation is a vector of "
                f"{spec.shape[0]}; accepted are auto, mlp, gru, lstm"
            )
        return vector_encoder(key, spec.shape[0], hidden, **options)
    if name == "mlp":
        raise UsageError(
            f"network is 'mlp', which sees vectors, and the observation is an image of "
            f"{' × '.join(map(str, spec.shape))}; accepted are auto, {', '.join(IMAGE_ENCODERS)}, "
            "or flatten it: gymnasium.wrappers.FlattenObservation"
        )
    return IMAGE_ENCODERS[name or "cnn"](key, spec.shape)


def _features(encoder: Any, spec: Spec) -> int:
    """How many features an encoder makes. Raises `UsageError` where they are no vector."""
    one = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), spec)
    try:
        made = jax.eval_shape(encoder, one)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"the network cannot see an observation of {_told(spec)}: {in_short(str(error))}; "
            "accepted is a module that takes one, without a batch dimension"
        ) from error
    shape = getattr(made, "shape", None)
    if shape is None or len(shape) != 1:
        raise UsageError(
            f"the network makes {in_short(made)} of an observation of {_told(spec)}; accepted is "
            "a vector of features, [F]"
        )
    return math.prod(shape)


def _told(spec: Spec) -> str:
    return str(jax.tree.map(lambda x: f"{x.dtype}{list(x.shape)}", spec))

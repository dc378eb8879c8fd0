"""A policy's most probable action as an ONNX graph.

The graph is what `Agent.predict` computes, in the same order and in float32: the observation is
encoded and normalized, the network's output is read as the mode of the action's distribution, and
that is mapped to the environment's action. The deviation of a Gaussian plays no part in its mode.

Operator set 13 in IR version 7, of 2020: old enough for every common runtime.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from surefoot.agents.export.formats.ports import BATCH, Port, inputs, output
from surefoot.agents.export.formats.provenance import Origin
from surefoot.common.errors import UsageError
from surefoot.core.data.normalization import (
    NoNormalizer,
    Normalizer,
    ObservationNormalizer,
    offset_of,
)
from surefoot.core.networks import (
    MLP,
    BernoulliHead,
    CategoricalHead,
    GaussianHead,
    MultiCategoricalHead,
    Policy,
    StateGaussianHead,
)
from surefoot.core.networks.mlp import NORMALIZATION_EPSILON
from surefoot.envs.spaces.actions import BoxMap

if TYPE_CHECKING:
    from surefoot.agents.agent import Agent

OPSET, IR_VERSION = 13, 7
_ACTIVATIONS: dict[Any, str] = {
    jnp.tanh: "Tanh",
    jax.nn.tanh: "Tanh",
    jax.nn.relu: "Relu",
    jax.nn.sigmoid: "Sigmoid",
    jax.nn.softplus: "Softplus",
    jax.nn.elu: "Elu",
}


def to_onnx(agent: Agent, origin: Origin) -> bytes:
    """The file. Raises `UsageError` if the policy has a part that is none of the library's."""
    import onnx

    observation, action = inputs(agent.observation_space), output(agent.action_space)
    graph = _Graph()
    x = _encoded(graph, observation, offset_of(agent.normalizer))
    x = _normalized(graph, agent.normalizer, x)
    x = _mode(graph, agent.policy, x)
    _to_environment(graph, agent.spec.to_environment(), action, x)
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "policy",
            [_value(port) for port in observation],
            [_value(action)],
            graph.constants,
        ),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="surefoot",
        producer_version=origin.exported_by,
    )
    onnx.helper.set_model_props(model, origin.facts())
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


class _Graph:
    """Nodes and constants, in the order in which they were added."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        """A tensor that is part of the graph; its name."""
        import onnx

        array = np.array(value, dtype)
        self.constants.append(onnx.numpy_helper.from_array(array, name))
        return name

    def add(self, kind: str, *taken: str, made: str = "", **attributes: Any) -> str:
        """The name of what an operator makes of its inputs."""
        import onnx

        made = made or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(kind, taken, [made], **attributes))
        return made

    def cast(self, x: str, dtype: Any, *, made: str = "") -> str:
        """`x` in another type."""
        import onnx

        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.add("Cast", x, made=made, to=kind)

    def split(self, x: str, sizes: Sequence[int]) -> list[str]:
        """Columns of `x`, that many in each part."""
        import onnx

        parts = [f"split_{len(self.nodes)}_{i}" for i in range(len(sizes))]
        taken = [x, self.constant("split", sizes, np.int64)]
        self.nodes.append(onnx.helper.make_node("Split", taken, parts, axis=1))
        return parts


def _value(port: Port) -> Any:
    import onnx

    kind = onnx.helper.np_dtype_to_tensor_dtype(port.dtype)
    return onnx.helper.make_tensor_value_info(port.name, kind, [BATCH, *port.shape])


def _encoded(graph: _Graph, ports: list[Port], offset: np.ndarray | None) -> str:
    """float32 [batch, size]: what `envs.observations.encode` gives."""
    dtype = np.float32 if offset is None else np.float64
    parts = [_encoded_part(graph, port, dtype) for port in ports]
    x = parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=1)
    if offset is None:
        return x
    offset_name = graph.constant("observation_offset", offset, np.float64)
    return graph.cast(graph.add("Sub", x, offset_name), np.float32)


def _encoded_part(graph: _Graph, port: Port, dtype: Any) -> str:
    match port.space:
        case spaces.Discrete():
            starts, choices = [int(port.space.start)], [int(port.space.n)]
        case spaces.MultiDiscrete():
            starts = port.space.start.reshape(-1).tolist()
            choices = port.space.nvec.reshape(-1).tolist()
        case _:
            return graph.add("Flatten", graph.cast(port.name, dtype), axis=1)
    # Every entry once for each of its choices, beside that choice: a one where they are equal.
    flat = graph.add("Flatten", graph.cast(port.name, np.int64), axis=1)
    which = np.repeat(np.arange(len(choices)), choices)
    every = np.concatenate([s + np.arange(n) for s, n in zip(starts, choices, strict=True)])
    entries = graph.add(
        "Gather", flat, graph.constant(f"entry_{port.name}", which, np.int64), axis=1
    )
    equal = graph.add("Equal", entries, graph.constant(f"choice_{port.name}", every, np.int64))
    return graph.cast(equal, dtype)


def _normalized(graph: _Graph, normalizer: Normalizer, x: str) -> str:
    match normalizer:
        case NoNormalizer():
            return x
        case ObservationNormalizer():
            x = graph.add("Sub", x, graph.constant("observation_mean", normalizer.moments.mean))
            scale = graph.constant("observation_inverse_std", normalizer.inverse_std)
            x = graph.add("Mul", x, scale)
            clip = normalizer.clip
            low, high = graph.constant("clip_low", -clip), graph.constant("clip_high", clip)
            return graph.add("Clip", x, low, high)
        case _:
            raise _no_form("the normalizer", normalizer)


def _mode(graph: _Graph, policy: Any, x: str) -> str:
    """The raw action [batch, …]: float32 for Gaussians, int64 for categoricals, bool for coins."""
    if not (isinstance(policy, Policy) and isinstance(policy.network, MLP)):
        raise _no_form("the policy", policy)
    head = policy.head
    match head:
        case StateGaussianHead():
            outputs = head.dimensions  # Those after them are for the deviation.
        case GaussianHead() | CategoricalHead() | MultiCategoricalHead() | BernoulliHead():
            outputs = head.size
        case _:
            raise _no_form("the policy's head", head)
    x = _network(graph, policy.network, outputs, x)
    match head:
        case CategoricalHead():
            return graph.add("ArgMax", x, axis=1, keepdims=0)
        case MultiCategoricalHead():
            parts = graph.split(x, head.choices)
            chosen = [graph.add("ArgMax", part, axis=1, keepdims=1) for part in parts]
            return graph.add("Concat", *chosen, axis=1)
        case BernoulliHead():
            return graph.add("Greater", x, graph.constant("even_odds", 0.0))
    return x


def _network(graph: _Graph, network: MLP, outputs: int, x: str) -> str:
    activation = _ACTIVATIONS.get(network.activation)
    if activation is None:
        raise _no_form("the activation", network.activation)
    last = len(network.layers) - 1
    for i, (w, b) in enumerate(network.layers):
        kept = slice(outputs if i == last else None)
        weight = graph.constant(f"weight_{i}", np.asarray(w)[:, kept])
        x = graph.add("Gemm", x, weight, graph.constant(f"bias_{i}", np.asarray(b)[kept]))
        if i < last:
            x = _normalized_layer(graph, x, i) if network.layer_norm else x
            x = graph.add(activation, x)
    return x


def _normalized_layer(graph: _Graph, x: str, layer: int) -> str:
    centered = graph.add("Sub", x, graph.add("ReduceMean", x, axes=[1]))
    variance = graph.add("ReduceMean", graph.add("Mul", centered, centered), axes=[1])
    epsilon = graph.constant(f"normalization_epsilon_{layer}", NORMALIZATION_EPSILON)
    return graph.add("Div", centered, graph.add("Sqrt", graph.add("Add", variance, epsilon)))


def _to_environment(graph: _Graph, to_env: Any, action: Port, x: str) -> None:
    """The action, in its shape and type."""
    if isinstance(to_env, BoxMap):
        x = graph.add("Mul", x, graph.constant("action_scale", to_env.scale))
        x = graph.add("Add", x, graph.constant("action_offset", to_env.offset))
        x = graph.add("Max", x, graph.constant("action_low", to_env.low))
        x = graph.add("Min", x, graph.constant("action_high", to_env.high))
    else:
        x = graph.cast(x, np.int64)
        x = graph.add("Add", x, graph.constant("action_start", to_env.start, np.int64))
    if len(action.shape) != 1 and not isinstance(action.space, spaces.Discrete):
        # 0: the batch dimension as it is.
        shape = graph.constant("action_shape", [0, *action.shape], np.int64)
        x = graph.add("Reshape", x, shape)
    graph.cast(x, action.dtype, made=action.name)


def _no_form(what: str, found: Any) -> UsageError:
    name = getattr(found, "__name__", type(found).__name__)
    activations = ", ".join(sorted(set(_ACTIVATIONS.values()))).lower()
    return UsageError(
        f"{what} is {name}, for which there is no ONNX graph; accepted are the library's own "
        f"(activations: {activations}): export as stablehlo"
    )

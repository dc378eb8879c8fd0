"""An ONNX graph in the making: tensors, and the nodes that make them.

A tensor may hold less than the shape that it has in JAX: what is only repeated along a dimension is
left to ONNX's broadcasting, which is NumPy's, until an operator needs it in full. What is made of
constants alone is computed at once, and is a constant. Nodes of no use are left out.

Operator set 13 in IR version 7, of 2020: old enough for every common runtime.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from surefoot.agents.export.formats.ports import BATCH, Port
from surefoot.common.errors import UsageError

OPSET, IR_VERSION = 13, 7


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A constant, an input, or what a node makes."""

    name: str
    shape: tuple[Any, ...]
    """Of what it holds; the batch's size is a symbol."""
    dtype: np.dtype
    value: np.ndarray | None = None
    """Of a constant."""


class Graph:
    """Nodes in the order in which they were added, and constants; `batch` is the symbol of the
    batch's size."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch
        self._inputs: list[Any] = []
        self._nodes: list[Any] = []
        self._constants: dict[Any, Tensor] = {}

    def input(self, port: Port) -> Tensor:
        """What goes in there."""
        self._inputs.append(_value(port))
        return Tensor(port.name, (self.batch, *port.shape), port.dtype)

    def constant(self, value: Any, dtype: Any = None, *, name: str = "") -> Tensor:
        """A tensor that is part of the graph."""
        array = np.asarray(value, dtype)
        known = (array.dtype, array.shape, array.tobytes())
        if known not in self._constants:
            name = name or f"constant_{len(self._constants)}"
            self._constants[known] = Tensor(name, array.shape, array.dtype, array)
        return self._constants[known]

    def add(
        self, kind: str, *taken: Tensor, shape: tuple[Any, ...], dtype: Any, **attributes: Any
    ) -> Tensor:
        """What an operator makes of its inputs, of that shape and type."""
        import onnx
        from onnx.reference import ReferenceEvaluator

        name = f"{kind.lower()}_{len(self._nodes)}"
        node = onnx.helper.make_node(kind, [x.name for x in taken], [name], **attributes)
        if all(x.value is not None for x in taken):
            run = ReferenceEvaluator(node, opsets={"": OPSET}).run
            made: Any = run(None, {x.name: x.value for x in taken})
            return self.constant(made[0], dtype)
        self._nodes.append(node)
        return Tensor(name, shape, np.dtype(dtype))

    def elementwise(self, kind: str, *taken: Tensor, dtype: Any = None) -> Tensor:
        """What an operator makes of every entry."""
        shape = _broadcast([x.shape for x in taken])
        return self.add(kind, *taken, shape=shape, dtype=dtype or taken[0].dtype)

    def cast(self, x: Tensor, dtype: Any) -> Tensor:
        """The tensor in another type."""
        import onnx

        if x.dtype == dtype:
            return x
        to = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.add("Cast", x, shape=x.shape, dtype=dtype, to=to)

    def reshape(self, x: Tensor, shape: Sequence[Any]) -> Tensor:
        """The tensor's entries in another shape."""
        shape = tuple(shape)
        if x.shape == shape:
            return x
        sizes = [size if isinstance(size, int) else -1 for size in shape]
        if sizes.count(-1) > 1:
            raise no_operator("a shape with two sizes that depend on the batch's")
        return self.add("Reshape", x, self.constant(sizes, np.int64), shape=shape, dtype=x.dtype)

    def transpose(self, x: Tensor, order: Sequence[int]) -> Tensor:
        """The tensor with its dimensions in another order."""
        if list(order) == sorted(order):
            return x
        shape = tuple(x.shape[i] for i in order)
        return self.add("Transpose", x, shape=shape, dtype=x.dtype, perm=list(map(int, order)))

    def full(self, x: Tensor, shape: tuple[Any, ...]) -> Tensor:
        """The tensor with every entry of the shape that it has in JAX."""
        if x.shape == shape:
            return x
        held = (1,) * (len(shape) - len(x.shape)) + x.shape
        # To expand to 1 is to keep what there is.
        sizes = [1 if h == size else size for h, size in zip(held, shape, strict=True)]
        if all(isinstance(size, int) for size in sizes):
            wanted = self.constant(sizes, np.int64)
        else:
            parts = [self._size(size) for size in sizes]
            wanted = self.add("Concat", *parts, shape=(len(sizes),), dtype=np.int64, axis=0)
        return self.add("Expand", x, wanted, shape=shape, dtype=x.dtype)

    def _size(self, size: Any) -> Tensor:
        """A size as a tensor of one number."""
        if isinstance(size, int):
            return self.constant([size], np.int64)
        if size != self.batch:
            raise no_operator(f"an array of {size} rows")
        first = self._inputs[0]
        rank = len(first.type.tensor_type.shape.dim)
        taken = Tensor(first.name, (), np.dtype(np.int64))
        sizes = self.add("Shape", taken, shape=(rank,), dtype=np.int64)
        zero = self.constant([0], np.int64)
        return self.add("Gather", sizes, zero, shape=(1,), dtype=np.int64, axis=0)

    def proto(self, made: Sequence[tuple[Port, Tensor]]) -> Any:
        """The graph that makes these outputs."""
        import onnx

        ends = [onnx.helper.make_node("Identity", [x.name], [port.name]) for port, x in made]
        kept, needed = [], {x.name for _, x in made}
        for node in reversed(self._nodes):
            if needed & set(node.output):
                kept.append(node)
                needed |= set(node.input)
        constants = [
            onnx.numpy_helper.from_array(np.ascontiguousarray(x.value), x.name)
            for x in self._constants.values()
            if x.name in needed
        ]
        outputs = [_value(port) for port, _ in made]
        nodes = [*reversed(kept), *ends]
        return onnx.helper.make_graph(nodes, "policy", self._inputs, outputs, constants)


def _value(port: Port) -> Any:
    import onnx

    kind = onnx.helper.np_dtype_to_tensor_dtype(port.dtype)
    return onnx.helper.make_tensor_value_info(port.name, kind, [BATCH, *port.shape])


def _broadcast(shapes: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(
        next((size for size in sizes if size != 1), 1) for sizes in zip(*padded, strict=True)
    )


def no_operator(what: str) -> UsageError:
    """For a policy that computes what no ONNX graph is made of here."""
    return UsageError(
        f"the policy computes {what}, for which no ONNX operator is known; accepted is the format "
        "stablehlo, which holds any policy: --format stablehlo, or format='stablehlo' in Python"
    )

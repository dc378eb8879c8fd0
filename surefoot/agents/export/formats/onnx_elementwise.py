"""JAX's primitives that work on every entry alike, as ONNX operators.

Each takes the graph, the equation and its inputs as they are held, whatever is left to
broadcasting, and returns what the equation makes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from surefoot.agents.export.formats.onnx_nodes import Graph, Tensor, no_operator

Operator = Callable[..., Any]


def _same(kind: str) -> Operator:
    return lambda graph, equation, *taken: graph.elementwise(kind, *taken)


def _compared(kind: str) -> Operator:
    return lambda graph, equation, *taken: graph.elementwise(kind, *taken, dtype=bool)


def _logical(kind: str) -> Operator:
    def operator(graph: Graph, equation: Any, *taken: Tensor) -> Tensor:
        if any(x.dtype != bool for x in taken):
            raise no_operator(f"{equation.primitive.name!r} of the bits of integers")
        return graph.elementwise(kind, *taken)

    return operator


def _like(graph: Graph, x: Tensor, value: float) -> Tensor:
    """A number in the tensor's type."""
    return graph.constant(value, x.dtype)


def _added(graph: Graph, equation: Any, x: Tensor, y: Tensor) -> Tensor:
    # A layer's perturbation is nothing here.
    for one, other in ((x, y), (y, x)):
        if one.value is not None and one.shape == () and one.value == 0:
            return other
    return graph.elementwise("Add", x, y)


def _unequal(graph: Graph, equation: Any, x: Tensor, y: Tensor) -> Tensor:
    return graph.elementwise("Not", graph.elementwise("Equal", x, y, dtype=bool))


def _inverse_root(graph: Graph, equation: Any, x: Tensor) -> Tensor:
    if x.value is not None:
        # The deviations of observations, rounded as they were in training.
        return graph.constant(jax.lax.rsqrt(x.value))
    return graph.elementwise("Reciprocal", graph.elementwise("Sqrt", x))


def _exp_less_one(graph: Graph, equation: Any, x: Tensor) -> Tensor:
    return graph.elementwise("Sub", graph.elementwise("Exp", x), _like(graph, x, 1))


def _log_one_plus(graph: Graph, equation: Any, x: Tensor) -> Tensor:
    return graph.elementwise("Log", graph.elementwise("Add", _like(graph, x, 1), x))


def _square(graph: Graph, equation: Any, x: Tensor) -> Tensor:
    return graph.elementwise("Mul", x, x)


def _power(graph: Graph, equation: Any, x: Tensor) -> Tensor:
    y = equation.params["y"]
    return (
        _square(graph, equation, x) if y == 2 else graph.elementwise("Pow", x, _like(graph, x, y))
    )


def _finite(graph: Graph, equation: Any, x: Tensor) -> Tensor:
    largest = _like(graph, x, np.finfo(x.dtype).max)
    return graph.elementwise("LessOrEqual", graph.elementwise("Abs", x), largest, dtype=bool)


def _chosen(graph: Graph, equation: Any, which: Tensor, *cases: Tensor) -> Tensor:
    if which.dtype != bool or len(cases) != 2:
        raise no_operator("a choice of more than two")
    return graph.elementwise("Where", which, cases[1], cases[0], dtype=cases[0].dtype)


def _clamped(graph: Graph, equation: Any, low: Tensor, x: Tensor, high: Tensor) -> Tensor:
    return graph.elementwise("Min", graph.elementwise("Max", x, low), high)


def _converted(graph: Graph, equation: Any, x: Tensor) -> Tensor:
    return graph.cast(x, equation.params["new_dtype"])


def _unchanged(graph: Graph, equation: Any, x: Tensor) -> Tensor:
    return x


def _broadcast(graph: Graph, equation: Any, x: Tensor) -> Tensor:
    """Where dimensions of one are put in front alone, nothing is to be done."""
    taken, made = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    held = (1,) * (len(taken) - len(x.shape)) + x.shape
    target = [1] * len(made)
    for size, place in zip(held, equation.params["broadcast_dimensions"], strict=True):
        target[place] = size
    return x if _core(target) == _core(x.shape) else graph.reshape(x, target)


def _core(shape: Any) -> tuple[Any, ...]:
    """The shape from its first dimension on that is not one."""
    first = next((i for i, size in enumerate(shape) if size != 1), len(shape))
    return tuple(shape[first:])


ELEMENTWISE: Mapping[str, Operator] = {
    "abs": _same("Abs"),
    "add": _added,
    "and": _logical("And"),
    "broadcast_in_dim": _broadcast,
    "ceil": _same("Ceil"),
    "clamp": _clamped,
    "convert_element_type": _converted,
    "copy": _unchanged,
    "cos": _same("Cos"),
    "div": _same("Div"),
    "eq": _compared("Equal"),
    "erf": _same("Erf"),
    "exp": _same("Exp"),
    "expm1": _exp_less_one,
    "floor": _same("Floor"),
    "ge": _compared("GreaterOrEqual"),
    "gt": _compared("Greater"),
    "integer_pow": _power,
    "is_finite": _finite,
    "le": _compared("LessOrEqual"),
    "log": _same("Log"),
    "log1p": _log_one_plus,
    "logistic": _same("Sigmoid"),
    "lt": _compared("Less"),
    "max": _same("Max"),
    "min": _same("Min"),
    "mul": _same("Mul"),
    "ne": _unequal,
    "neg": _same("Neg"),
    "not": _logical("Not"),
    "or": _logical("Or"),
    "pow": _same("Pow"),
    "rsqrt": _inverse_root,
    "select_n": _chosen,
    "sign": _same("Sign"),
    "sin": _same("Sin"),
    "sqrt": _same("Sqrt"),
    "square": _square,
    "stop_gradient": _unchanged,
    "sub": _same("Sub"),
    "tanh": _same("Tanh"),
    "xor": _logical("Xor"),
}

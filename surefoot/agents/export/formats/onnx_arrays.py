"""JAX's primitives that move, reduce or multiply arrays, as ONNX operators.

Each takes the graph, the equation and its inputs in full, and returns what the equation makes.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from surefoot.agents.export.formats.onnx_nodes import Graph, Tensor, no_operator

Operator = Callable[..., Any]


def _shape(equation: Any) -> tuple[Any, ...]:
    """That of what the equation makes."""
    return tuple(equation.outvars[0].aval.shape)


def _reshaped(graph: Graph, equation: Any, x: Tensor) -> Tensor:
    return graph.reshape(x, _shape(equation))


def _transposed(graph: Graph, equation: Any, x: Tensor) -> Tensor:
    return graph.transpose(x, equation.params["permutation"])


def _joined(graph: Graph, equation: Any, *taken: Tensor) -> Tensor:
    axis, shape = equation.params["dimension"], _shape(equation)
    return graph.add("Concat", *taken, shape=shape, dtype=taken[0].dtype, axis=axis)


def _stacked(graph: Graph, equation: Any, *taken: Tensor) -> Tensor:
    axis, shape = equation.params["axis"], _shape(equation)
    one = (*shape[:axis], 1, *shape[axis + 1 :])
    rows = [graph.reshape(x, one) for x in taken]
    return graph.add("Concat", *rows, shape=shape, dtype=taken[0].dtype, axis=axis)


def _sliced(graph: Graph, equation: Any, x: Tensor) -> Tensor:
    starts, ends = equation.params["start_indices"], equation.params["limit_indices"]
    strides = equation.params["strides"] or (1,) * len(starts)
    return _slice(graph, x, starts, ends, strides, _shape(equation))


def _slice(
    graph: Graph, x: Tensor, starts: Any, ends: Any, strides: Any, shape: tuple[Any, ...]
) -> Tensor:
    bounds = list(zip(starts, ends, strides, strict=True))
    axes = [i for i, cut in enumerate(bounds) if cut != (0, x.shape[i], 1)]
    cuts = [[bounds[i][k] for i in axes] for k in range(3)]
    if not all(isinstance(n, int | np.integer) for n in itertools.chain(*cuts)):
        raise no_operator("a part of a batch")
    columns = [graph.constant(column, np.int64) for column in (*cuts[:2], axes, cuts[2])]
    return graph.add("Slice", x, *columns, shape=shape, dtype=x.dtype)


def _split(graph: Graph, equation: Any, x: Tensor) -> list[Tensor]:
    axis = equation.params["axis"]
    ends = list(itertools.accumulate(map(int, equation.params["sizes"])))
    parts = []
    for start, end in zip([0, *ends], ends, strict=False):
        starts, limits = [0] * len(x.shape), list(x.shape)
        starts[axis], limits[axis] = start, end
        shape = (*x.shape[:axis], end - start, *x.shape[axis + 1 :])
        parts.append(_slice(graph, x, starts, limits, [1] * len(starts), shape))
    return parts


def _padded(graph: Graph, equation: Any, x: Tensor, value: Tensor) -> Tensor:
    below, above, between = zip(*equation.params["padding_config"], strict=True)
    if any(between):
        raise no_operator("padding between the entries of an array")
    pads = graph.constant([*below, *above], np.int64)
    return graph.add("Pad", x, pads, value, shape=_shape(equation), dtype=x.dtype)


def _gathered(graph: Graph, equation: Any, x: Tensor, indices: Tensor) -> Tensor:
    """Of those that take whole slices along one axis."""
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    axes, index = tuple(numbers.start_index_map), indices.shape[:-1]
    axis = axes[0] if len(axes) == 1 else 0
    others = [*range(axis), *range(axis + len(index), len(index) + len(x.shape) - 1)]
    whole = [1 if i == axis else size for i, size in enumerate(x.shape)]
    plain = (
        axes == tuple(numbers.collapsed_slice_dims) == (axis,)
        and not numbers.operand_batching_dims
        and list(numbers.offset_dims) == others
        and list(sizes) == whole
    )
    if not plain:
        raise no_operator("a 'gather' along several axes")
    where = graph.reshape(indices, index)
    return graph.add("Gather", x, where, shape=_shape(equation), dtype=x.dtype, axis=axis)


def _counted(graph: Graph, equation: Any) -> Tensor:
    """Numbers from 0 on, along a dimension."""
    axis, shape = equation.params["dimension"], _shape(equation)
    if not all(isinstance(size, int) for size in shape):
        raise no_operator("numbers of the rows of a batch")
    column = np.arange(shape[axis], dtype=equation.params["dtype"])
    ahead = np.expand_dims(column, [i for i in range(len(shape)) if i != axis])
    return graph.constant(np.broadcast_to(ahead, shape))


def _reduced(kind: str) -> Callable[..., Tensor]:
    def operator(graph: Graph, equation: Any, x: Tensor) -> Tensor:
        axes = list(equation.params["axes"])
        options: dict[str, Any] = {"shape": _shape(equation), "keepdims": 0}
        if kind == "ReduceSum":
            columns = graph.constant(axes, np.int64)
            return graph.add(kind, x, columns, dtype=x.dtype, **options)
        # Of flags, the least and the largest say whether all are true, and whether any is.
        number = graph.cast(x, np.int32) if x.dtype == bool else x
        made = graph.add(kind, number, dtype=number.dtype, axes=axes, **options)
        return graph.cast(made, x.dtype)

    return operator


def _place_of(kind: str) -> Callable[..., Tensor]:
    def operator(graph: Graph, equation: Any, x: Tensor) -> Tensor:
        (axis,) = equation.params["axes"]
        number = graph.cast(x, np.int32) if x.dtype == bool else x
        shape, dtype = _shape(equation), equation.params["index_dtype"]
        made = graph.add(kind, number, shape=shape, dtype=np.int64, axis=axis, keepdims=0)
        return graph.cast(made, dtype)

    return operator


def _product(graph: Graph, equation: Any, x: Tensor, y: Tensor) -> Tensor:
    (of_x, of_y), (batch_x, batch_y) = equation.params["dimension_numbers"]
    shape, dtype = _shape(equation), x.dtype
    last = len(x.shape) - 1
    if last and not batch_x and len(y.shape) == 2 and (*of_x, *of_y) == (last, 0):
        return graph.add("MatMul", x, y, shape=shape, dtype=dtype)
    letters = iter(string.ascii_lowercase)
    left = [next(letters) for _ in x.shape]
    right = [next(letters) for _ in y.shape]
    for i, j in zip((*batch_x, *of_x), (*batch_y, *of_y), strict=True):
        right[j] = left[i]
    made = [left[i] for i in batch_x]
    made += [name for i, name in enumerate(left) if i not in (*batch_x, *of_x)]
    made += [name for j, name in enumerate(right) if j not in (*batch_y, *of_y)]
    text = f"{''.join(left)},{''.join(right)}->{''.join(made)}"
    return graph.add("Einsum", x, y, shape=shape, dtype=dtype, equation=text)


def _convolved(graph: Graph, equation: Any, x: Tensor, w: Tensor) -> Tensor:
    options = equation.params
    if any(n != 1 for n in options["lhs_dilation"]) or options["batch_group_count"] != 1:
        raise no_operator("a transposed convolution")
    of_x, of_w, of_made = options["dimension_numbers"]
    shape = _shape(equation)
    below, above = zip(*options["padding"], strict=True)
    made = graph.add(
        "Conv",
        graph.transpose(x, of_x),
        graph.transpose(w, of_w),
        shape=tuple(shape[i] for i in of_made),
        dtype=x.dtype,
        strides=_numbers(options["window_strides"]),
        pads=_numbers((*below, *above)),
        dilations=_numbers(options["rhs_dilation"]),
        group=int(options["feature_group_count"]),
    )
    return graph.transpose(made, [of_made.index(i) for i in range(len(shape))])


def _numbers(values: Sequence[Any]) -> list[int]:
    return [int(value) for value in values]


ARRAYS: Mapping[str, Operator] = {
    "argmax": _place_of("ArgMax"),
    "argmin": _place_of("ArgMin"),
    "concatenate": _joined,
    "conv_general_dilated": _convolved,
    "dot_general": _product,
    "expand_dims": _reshaped,
    "gather": _gathered,
    "iota": _counted,
    "pad": _padded,
    "reduce_and": _reduced("ReduceMin"),
    "reduce_max": _reduced("ReduceMax"),
    "reduce_min": _reduced("ReduceMin"),
    "reduce_or": _reduced("ReduceMax"),
    "reduce_prod": _reduced("ReduceProd"),
    "reduce_sum": _reduced("ReduceSum"),
    "reshape": _reshaped,
    "slice": _sliced,
    "split": _split,
    "squeeze": _reshaped,
    "stack": _stacked,
    "transpose": _transposed,
}

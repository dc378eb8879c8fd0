"""A policy's most probable action as an ONNX graph: the program in JAX, translated operator by
operator.

The program is traced for a batch of any size. What is traced is a list of JAX's primitives, each of
which has an ONNX operator, or a few; so whatever a network is made of can be exported, as long as
these primitives are known.
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any

import jax
from jax.extend.core import Literal

from surefoot.agents.export.formats.onnx_arrays import ARRAYS
from surefoot.agents.export.formats.onnx_elementwise import ELEMENTWISE
from surefoot.agents.export.formats.onnx_nodes import (
    IR_VERSION,
    OPSET,
    Graph,
    Tensor,
    no_operator,
)
from surefoot.agents.export.formats.ports import interface, ports
from surefoot.agents.export.formats.program import arguments, nested, program, symbolic_batch
from surefoot.agents.export.formats.provenance import Origin

if TYPE_CHECKING:
    from surefoot.agents.agent import Agent

#: Primitives that are a program of their own, and where their equation has it.
_CALLS = {
    "checkpoint": "jaxpr",
    "closed_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "jit": "jaxpr",
    "pjit": "jaxpr",
}
#: The library's own primitives: in JAX's they are what they compute.
_OWN = ("convolution", "product_kept_both_ways")


def to_onnx(agent: Agent, origin: Origin) -> bytes:
    """The file. Raises `UsageError` if the policy computes what has no ONNX operator here."""
    import onnx

    model = onnx.helper.make_model(
        _graph(agent),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="surefoot",
        producer_version=origin.exported_by,
    )
    onnx.helper.set_model_props(model, origin.facts())
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        # An operator that there is, but not for this type.
        raise no_operator(f"what ONNX refuses ({str(error).splitlines()[0]})") from None
    return bytes(model.SerializeToString(deterministic=True))


def _graph(agent: Agent) -> Any:
    found, batch = interface(agent), symbolic_batch()
    graph = Graph(batch)
    inputs = [
        nested(space, [graph.input(port) for port in ports(space, name)])
        for name, space in found.takes.items()
    ]
    with jax.enable_x64(True):
        trace = jax.make_jaxpr(program(agent), return_shape=True)
        traced, made = trace(*arguments(found, batch))
        names = _names(agent)
        constants = [graph.constant(x, name=names.get(id(x), "")) for x in traced.consts]
        # JAX has the parts of a dict in the order of their keys.
        tensors = _translated(graph, traced.jaxpr, constants, jax.tree.leaves(inputs))
        made = jax.tree.unflatten(jax.tree.structure(made), tensors)
    outputs = [
        (port, functools.reduce(operator.getitem, port.path, tree))
        for tree, (name, space) in zip(made, found.gives.items(), strict=True)
        for port in ports(space, name)
    ]
    return graph.proto(outputs)


def _names(agent: Agent) -> dict[int, str]:
    """Where in the policy an array is, by its identity."""
    leaves = jax.tree_util.tree_flatten_with_path(agent.policy)[0]
    return {id(x): jax.tree_util.keystr(path, simple=True, separator=".") for path, x in leaves}


def _translated(
    graph: Graph, program: Any, constants: list[Tensor], inputs: list[Tensor]
) -> list[Tensor]:
    """What a traced program makes of its inputs."""
    known = dict(zip((*program.constvars, *program.invars), (*constants, *inputs), strict=True))

    def read(atom: Any) -> Tensor:
        if isinstance(atom, Literal):
            aval: Any = atom.aval
            return graph.constant(atom.val, aval.dtype)
        return known[atom]

    for equation in program.eqns:
        made = _made(graph, equation, [read(atom) for atom in equation.invars])
        known.update(zip(equation.outvars, made, strict=True))
    return [graph.full(read(atom), atom.aval.shape) for atom in program.outvars]


def _made(graph: Graph, equation: Any, taken: list[Tensor]) -> list[Tensor]:
    name = equation.primitive.name
    if name in _CALLS or name in _OWN:
        inner = equation.params[_CALLS[name]] if name in _CALLS else _composed(equation)
        constants = [graph.constant(x) for x in inner.consts]
        return _translated(graph, inner.jaxpr, constants, taken)
    if name in ELEMENTWISE:
        return [ELEMENTWISE[name](graph, equation, *taken)]
    if name not in ARRAYS:
        raise no_operator(repr(name))
    full = [graph.full(x, v.aval.shape) for x, v in zip(taken, equation.invars, strict=True)]
    made = ARRAYS[name](graph, equation, *full)
    return made if equation.primitive.multiple_results else [made]


def _composed(equation: Any) -> Any:
    """What one of the library's own primitives computes, traced."""
    run = functools.partial(equation.primitive.impl, **equation.params)
    return jax.make_jaxpr(run)(*(atom.aval for atom in equation.invars))

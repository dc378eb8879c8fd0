"""A policy's most probable action as a serialized StableHLO program, which JAX loads on a CPU, GPU
or TPU without surefoot. `jax.export` promises that a later JAX reads it for six months."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax

from surefoot.agents.export.formats.ports import interface
from surefoot.agents.export.formats.program import arguments, program, symbolic_batch
from surefoot.agents.export.formats.provenance import Origin

if TYPE_CHECKING:
    from surefoot.agents.agent import Agent

_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def to_stablehlo(agent: Agent, origin: Origin) -> bytes:
    """The file. Its arguments are a batch of observations as the environment has them, an array or
    a dict or tuple of arrays, and for a policy with a memory the state and which rows are the first
    of an episode. It gives the actions, or the pair of actions and the state afterwards."""
    taken, run = interface(agent), program(agent)

    def policy(*given: Any) -> Any:
        action, *state = run(*given)
        return (action, *state) if state else action

    with jax.enable_x64(True):
        shapes = arguments(taken, symbolic_batch())
        exported = jax.export.export(jax.jit(policy), platforms=_PLATFORMS)(*shapes)
        return bytes(exported.serialize())

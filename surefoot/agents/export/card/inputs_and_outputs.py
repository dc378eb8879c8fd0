"""What an exported policy takes and gives, as sections of its card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from gymnasium import spaces

from surefoot.agents.export.card.markdown import code, table
from surefoot.agents.export.formats.ports import Interface, Port, ports
from surefoot.agents.export.formats.provenance import Origin
from surefoot.core.data.normalization import ObservationNormalizer, offset_of
from surefoot.envs.spaces.encoding import Encoding, Leaf, size_of
from surefoot.envs.spaces.masks import ACTION_MASK

if TYPE_CHECKING:
    from surefoot.agents.agent import Agent

#: Entries of an observation that are listed one by one.
_LISTED = 40


#: What stands in the place of bounds, by the name of an input or output.
_OF_MEMORY = {
    "state": "`next_state` of the step before",
    "reset": "true where an episode starts",
    "next_state": "the memory after the step",
}


def inputs_and_outputs(taken: Interface, kind: str) -> str:
    """What goes in and what comes out."""
    rows = [
        [role, code(port.name), code(port.dtype), code(_shape(port)), _told(name, port)]
        for role, named in (("input", taken.takes), ("output", taken.gives))
        for name, space in named.items()
        for port in ports(space, name)
    ]
    head = ["", "name", "type", "shape", "values"]
    told = [
        "Observations go in and the action comes out as the environment has them, with a batch "
        "dimension of any size in front."
    ]
    if ACTION_MASK in (port.name for port in taken.inputs):
        told.append(
            f"{code(ACTION_MASK)} has a flag for each value of each choice, in their order, and "
            "at least one of each choice is 1: the action is a valid one."
        )
    if "state" in taken.takes:
        told.append(
            "The policy has a memory: hand in as `state` what the step before gave as "
            "`next_state`. Where `reset` is true, the observation is the first of an episode, and "
            "the state is not looked at."
        )
    return f"{table(head, rows)}\n\n{' '.join([*told, *_arguments(taken, kind)])}"


def _arguments(taken: Interface, kind: str) -> list[str]:
    """How a program in JAX takes them."""
    if kind != "stablehlo":
        return []
    if "state" in taken.takes:
        return [
            "The program takes three arguments, the observation, the state and the reset, and "
            "gives the pair of the action and the next state, each nested by its keys."
        ]
    if any(port.path for port in taken.inputs):
        return ["The program takes them as one argument, nested as the observation is."]
    return []


def _told(name: str, port: Port) -> str:
    if port.name == ACTION_MASK:
        return "1 where an action is valid"
    return _OF_MEMORY.get(name) or _meaning(port.space)


def _shape(port: Port) -> str:
    return f"[{', '.join(['batch', *map(str, port.shape)])}]"


def _meaning(space: spaces.Space) -> str:
    match space:
        case spaces.Box():
            if not space.low.size:
                return "nothing"
            low, high = space.low.min(), space.high.max()
            if space.dtype.kind == "f":
                return f"numbers from {low:g} to {high:g}"
            return f"integers from {int(low)} to {int(high)}"
        case spaces.Discrete():
            return f"an integer from {int(space.start)} to {int(space.start + space.n) - 1}"
        case spaces.MultiDiscrete():
            first, last = space.start, space.start + space.nvec - 1
            return f"integers from {code(first.tolist())} to {code(last.tolist())}"
        case _:
            return "0 or 1"


def limits(agent: Agent, origin: Origin) -> str:
    """Which observations the policy knows: those that were like its training's."""
    trained = f"The policy was trained on {code(origin.task)} alone. " if origin.task else ""
    lines = [
        f"{trained}What it does with observations that differ from those of its training is not "
        "known."
    ]
    normalizer = agent.normalizer
    if not isinstance(normalizer, ObservationNormalizer):
        return f"{lines[0]} It keeps no statistics of the observations of its training."
    seen, mean = int(normalizer.moments.seen), np.asarray(normalizer.moments.mean, np.float64)
    offset = offset_of(normalizer)
    mean = mean if offset is None else mean + offset
    if not seen:
        return f"{lines[0]} Its normalizer has seen no observation."
    std, clip = np.sqrt(normalizer.moments.var), normalizer.clip
    lines.append(
        f"In training it saw {seen:,} observations. Inside, every entry is standardized by "
        f"their mean and standard deviation, and cut off at {clip:g} deviations on either side."
    )
    encoding = Encoding(agent.observation_space)
    size = encoding.size
    low, high = _bounds(encoding.vector)
    rows = [
        [code(encoding.component(i)), *(f"{x[i]:.4g}" for x in (mean, std, low, high))]
        for i in range(min(size, _LISTED))
    ]
    head = ["entry, encoded", "mean", "standard deviation", "least possible", "largest possible"]
    lines.append(table(head, rows))
    if size > _LISTED:
        lines.append(f"The other {size - _LISTED} entries are not listed.")
    return "\n\n".join(lines)


def _bounds(parts: Sequence[Leaf]) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest value of every entry of the vector that these parts make."""
    low, high = [], []
    for _, space in parts:
        match space:
            case spaces.Box(low=least, high=most):
                low.append(least.reshape(-1).astype(float))
                high.append(most.reshape(-1).astype(float))
            case _:
                size = size_of(space)
                low.append(np.zeros(size))
                high.append(np.ones(size))
    return np.concatenate(low), np.concatenate(high)

"""What an exported policy takes and gives, as sections of its card."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from gymnasium import spaces

from surefoot.agents.export.card.markdown import code, table
from surefoot.agents.export.formats.ports import Port, inputs, output
from surefoot.agents.export.formats.provenance import Origin
from surefoot.core.data.normalization import ObservationNormalizer, offset_of
from surefoot.envs.spaces.encoding import Encoding, size_of

if TYPE_CHECKING:
    from surefoot.agents.agent import Agent

#: Entries of an observation that are listed one by one.
_LISTED = 40


def ports(agent: Agent, kind: str) -> str:
    """What goes in and what comes out."""
    taken = inputs(agent.observation_space)
    rows = [
        [role, code(port.name), code(port.dtype), code(_shape(port)), _meaning(port.space)]
        for role, port in [*(("input", p) for p in taken), ("output", output(agent.action_space))]
    ]
    head = ["", "name", "type", "shape", "values"]
    nested = kind == "stablehlo" and any(port.path for port in taken)
    note = (
        " The program takes them as one argument, nested as the observation is." if nested else ""
    )
    return (
        f"{table(head, rows)}\n\nObservations go in and the action comes out as the environment "
        f"has them, with a batch dimension of any size in front.{note}"
    )


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
    space = agent.observation_space
    encoding = Encoding(space)
    size = encoding.size
    low, high = _bounds(space)
    rows = [
        [code(encoding.component(i)), *(f"{x[i]:.4g}" for x in (mean, std, low, high))]
        for i in range(min(size, _LISTED))
    ]
    head = ["entry, encoded", "mean", "standard deviation", "least possible", "largest possible"]
    lines.append(table(head, rows))
    if size > _LISTED:
        lines.append(f"The other {size - _LISTED} entries are not listed.")
    return "\n\n".join(lines)


def _bounds(space: spaces.Space) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest value of every entry of an encoded observation."""
    low, high = [], []
    for port in inputs(space):
        match port.space:
            case spaces.Box(low=least, high=most):
                low.append(least.reshape(-1).astype(float))
                high.append(most.reshape(-1).astype(float))
            case _:
                size = size_of(port.space)
                low.append(np.zeros(size))
                high.append(np.ones(size))
    return np.concatenate(low), np.concatenate(high)

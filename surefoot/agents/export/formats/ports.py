"""What goes into a policy and what comes out, as whoever deploys it sees them.

An observation goes in as the environment gives it, one input for each of its parts: of a `Dict` or
`Tuple`, `observation.KEY`. A mask of valid actions is the input `action_mask`. The action comes out
as the environment takes it, `action.KEY` for the parts of a mixed one. A memory goes in as `state`
and comes out as `next_state`; where `reset` is true, the observation is the first of an episode.
All have a batch dimension in front.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
from gymnasium import spaces

from surefoot.common.errors import UsageError
from surefoot.core.networks import Policy
from surefoot.envs.spaces.masks import ACTION_MASK, OBSERVATION, has_mask

if TYPE_CHECKING:
    from surefoot.agents.agent import Agent

#: True or false.
_FLAG = spaces.Box(np.zeros((), bool), np.ones((), bool), (), np.bool_)  # type: ignore[arg-type]

#: Name of the batch dimension.
BATCH = "batch"


class Port(NamedTuple):
    """An input or an output."""

    name: str
    space: spaces.Space
    """No `Dict` or `Tuple`."""
    path: tuple[Any, ...] = ()
    """The keys that lead to it in an observation, a state or an action."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Without the batch dimension."""
        return tuple(self.space.shape or ())

    @property
    def dtype(self) -> np.dtype:
        """As the environment has it."""
        assert self.space.dtype is not None
        return np.dtype(self.space.dtype)

    def __str__(self) -> str:
        dimensions = ", ".join([BATCH, *map(str, self.shape)])
        return f"{self.name} {self.dtype}[{dimensions}]"


class Interface(NamedTuple):
    """What a policy takes and gives, by name; a `Dict` or `Tuple` has a port for each part."""

    takes: dict[str, spaces.Space]
    """`observation`; of a policy with a memory also `state` and `reset`."""
    gives: dict[str, spaces.Space]
    """`action`; of a policy with a memory also `next_state`."""

    @property
    def inputs(self) -> list[Port]:
        """All ports that go in."""
        return [port for name, space in self.takes.items() for port in ports(space, name)]

    @property
    def outputs(self) -> list[Port]:
        """All ports that come out."""
        return [port for name, space in self.gives.items() for port in ports(space, name)]


def interface(agent: Agent) -> Interface:
    """That of an agent's policy. Raises `UsageError` where ports would have names that no file can
    hold, or the same."""
    takes: dict[str, spaces.Space] = {"observation": agent.observation_space}
    gives: dict[str, spaces.Space] = {"action": agent.action_space}
    state = _state_space(agent.policy)
    if state is not None:
        takes |= {"state": state, "reset": _FLAG}
        gives |= {"next_state": state}
    found = Interface(takes, gives)
    _ = found.inputs, found.outputs
    return found


def named_state(memory: Any) -> Any:
    """A memory as arrays by their names, or as the one that it consists of."""
    leaves = jax.tree_util.tree_flatten_with_path(memory)[0]
    if len(leaves) == 1 and not leaves[0][0]:
        return memory
    return {jax.tree_util.keystr(path, simple=True, separator="."): x for path, x in leaves}


def _state_space(policy: Policy) -> spaces.Space | None:
    """The space of one environment's memory; `None` without one."""
    memory = jax.eval_shape(lambda: policy.initial(1))
    if memory is None:
        return None

    def part(x: Any) -> spaces.Box:
        return spaces.Box(-np.inf, np.inf, x.shape[1:], x.dtype)

    state = named_state(memory)
    if isinstance(state, dict):
        return spaces.Dict([(name, part(x)) for name, x in state.items()])
    return part(state)


def ports(space: spaces.Space, root: str = "observation") -> list[Port]:
    """The parts of what is called `root`, in the order of their space. Raises `UsageError` where
    two of them would have one name, or one that no file can hold."""
    masked = root == "observation" and has_mask(space)
    found = [Port(_name(root, path, masked), part, path) for path, part in _parts(space, ())]
    for port in found:
        if port.name != port.name.encode(errors="replace").decode():
            raise UsageError(
                f"a part of the {root} is named {port.name!r}, which UTF-8 cannot encode: rename it"
            )
    most = Counter(port.name for port in found).most_common(1)
    if most and most[0][1] > 1:
        raise UsageError(
            f"two parts of the {root} would be named {most[0][0]!r}; accepted are keys that stay "
            "different when they are joined by dots: rename one"
        )
    return found


def _parts(space: spaces.Space, path: tuple[Any, ...]) -> list[tuple[tuple[Any, ...], Any]]:
    match space:
        case spaces.Dict():
            return [part for k, s in space.items() for part in _parts(s, (*path, k))]
        case spaces.Tuple():
            return [part for i, s in enumerate(space) for part in _parts(s, (*path, i))]
        case _:
            return [(path, space)]


def _name(root: str, path: tuple[Any, ...], masked: bool) -> str:
    # What lies beside a mask, and no Dict before there was one, is called as it is without.
    own = masked and path[0] in (ACTION_MASK, OBSERVATION)
    return ".".join(map(str, path if own else (root, *path)))

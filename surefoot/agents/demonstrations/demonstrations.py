"""`Demonstrations`: transitions with the spaces that give them meaning, checked once, when made."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float, PyTree, Shaped

from surefoot.common.errors import UsageError, in_short
from surefoot.core.observation import Observation, vector_of, with_vector
from surefoot.envs.spaces.action_heads import action_head
from surefoot.envs.spaces.encoding import Encoding, Leaf, leaves_of
from surefoot.envs.spaces.masks import check_mask, chosen
from surefoot.envs.spaces.observations import check_observation_space
from surefoot.envs.spaces.space_text import space_text
from surefoot.envs.spaces.trees import empty_of


@dataclasses.dataclass(frozen=True, eq=False)
class Demonstrations:
    """`B` transitions, episode after episode, each episode's in the order in which they happened.

    Arrays are converted to the types below where nothing is lost. Raises `UsageError` if there are
    none, if lengths or shapes do not fit, if an observation or action is not finite, if an integer
    action does not lie in its space or its mask excludes it, or if a space is not supported.
    """

    obs: PyTree[Shaped[np.ndarray, "B ..."]]
    """Encoded observation that the action answers to, not normalized: a vector float32, or float64
    if it is given so and the observation space has types that float32 cannot hold; an image
    [B, H, W, C] in its own type; a dict of them where there are several; with a mask of the valid
    actions, an `Observation`."""
    action: PyTree[Shaped[np.ndarray, "B ..."]]
    """What the environment received, in the action space's dtype; of a Dict or Tuple, a dict or
    tuple of arrays."""
    reward: Float[np.ndarray, " B"]
    """Raw reward, float64."""
    terminated: Bool[np.ndarray, " B"]
    truncated: Bool[np.ndarray, " B"]
    observation_space: spaces.Space
    action_space: spaces.Space
    environment: str | None = None
    """Gymnasium id, if known."""

    def __repr__(self) -> str:
        where = "" if self.environment is None else f" of {self.environment!r}"
        kinds = f"{space_text(self.observation_space)} → {space_text(self.action_space)}"
        return f"<Demonstrations: {len(self):,} transitions{where}, {kinds}>"

    def __post_init__(self) -> None:
        if self.environment is not None and not isinstance(self.environment, str):
            raise UsageError(
                f"environment is {in_short(self.environment)}; accepted is a Gymnasium id, or None"
            )
        check_observation_space(self.observation_space)
        action_head(self.action_space)
        check_mask(self.observation_space, self.action_space)
        rows = _rows(self.obs)
        if rows == 0:
            raise UsageError("there are no demonstrations: obs is empty; record an episode or more")
        for name, template in fields_of(self.observation_space, self.action_space).items():
            given = getattr(self, name)
            if name == "obs" and Encoding(self.observation_space).wide.any():
                template = _as_wide(template, given)
            object.__setattr__(self, name, _fitted(name, given, template, rows))
        for leaf in leaves_of(self.action_space):
            _check_in_space(leaf, self.action)
        if isinstance(self.obs, Observation):
            _check_valid(np.asarray(self.obs.action_mask), self.action, self.action_space)

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def returns(self) -> Float[np.ndarray, " episodes"]:
        """Sum of raw rewards of each episode that ended, in order."""
        ends = np.flatnonzero(self.terminated | self.truncated)
        if not len(ends):
            return np.zeros(0)
        starts = np.concatenate([[0], ends[:-1] + 1])
        return np.add.reduceat(self.reward[: ends[-1] + 1], starts)


def _rows(obs: Any) -> int:
    first = jax.tree.leaves(obs)[:1]
    return len(first[0]) if first and np.ndim(first[0]) else 0


def fields_of(observation_space: spaces.Space, action_space: spaces.Space) -> dict[str, Any]:
    """Trees of arrays of no row, [0, …], as demonstrations of these spaces hold them."""
    blank = jax.tree.map(np.asarray, Encoding(observation_space).blank((0,)))
    flag = np.zeros(0, bool)
    return {
        "obs": blank,
        "action": empty_of(action_space),
        "reward": np.zeros(0),
        "terminated": flag,
        "truncated": flag,
    }


def _as_wide(template: Any, given: Any) -> Any:
    """The template of observations, whose vector may keep its digits."""
    try:
        wide = vector_of(given).dtype == np.float64
    except (AttributeError, KeyError, TypeError):
        return template
    return with_vector(template, lambda vector: vector.astype(np.float64)) if wide else template


def _fitted(name: str, given: Any, template: Any, rows: int) -> Any:
    """What was given, in the types and of the shapes that the template has. Raises `UsageError`
    where it is not like it, or not finite."""
    wanted = jax.tree_util.tree_leaves_with_path(template)
    treedef: Any = jax.tree.structure(template)
    try:
        parts = treedef.flatten_up_to(given)
    except (TypeError, ValueError):
        raise UsageError(
            f"{name} is {in_short(given)}; accepted is "
            f"{' '.join(str(treedef.unflatten(['array'] * len(wanted))).split())}, as its space is"
        ) from None
    fitted = []
    for (path, like), part in zip(wanted, parts, strict=True):
        called = name + jax.tree_util.keystr(path)
        array = _cast(called, part, like.dtype)
        if array.shape != (rows, *like.shape[1:]):
            raise UsageError(
                f"{called} has shape {list(array.shape)}; accepted is {[rows, *like.shape[1:]]}: "
                f"a row for each of the {rows} in obs, of the shape that its space gives"
            )
        _check_finite(called, array)
        fitted.append(array)
    return treedef.unflatten(fitted)


def _cast(name: str, given: Any, dtype: Any) -> np.ndarray:
    try:
        array = np.asarray(given)
    except (TypeError, ValueError):
        raise UsageError(
            f"{name} is {in_short(given)}; accepted is an array, a row a transition"
        ) from None
    if not np.can_cast(array.dtype, dtype, "same_kind"):
        raise UsageError(f"{name} is of {array.dtype}; accepted is {np.dtype(dtype)}: convert it")
    cast = array.astype(dtype, copy=False)
    if np.issubdtype(dtype, np.integer) and not np.array_equal(cast, array):
        raise UsageError(f"{name} has values beyond {np.dtype(dtype)}; accepted are those within")
    return cast


def _check_finite(name: str, array: np.ndarray) -> None:
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        value = array[row][~np.isfinite(array[row])].flat[0]
        raise UsageError(
            f"{name} is {value} in row {row}; accepted are finite numbers: leave out the "
            f"{int((~finite).sum())} such rows"
        )


def _check_in_space(leaf: Leaf, actions: Any) -> None:
    """Whether a policy over this part of the space gives the actions a probability above 0."""
    space = leaf.space
    match space:
        case spaces.Discrete():
            low, high = space.start, space.start + space.n - 1
        case spaces.MultiDiscrete():
            low, high = space.start, space.start + space.nvec - 1
        case spaces.MultiBinary():
            low, high = 0, 1
        case _:
            return
    action = leaf.of(actions)
    inside = ((action >= low) & (action <= high)).reshape(len(action), -1).all(axis=1)
    if not inside.all():
        row = int(inside.argmin())
        raise UsageError(
            f"action{leaf.called} is {action[row].tolist()} in row {row}; accepted are actions in "
            f"{' '.join(str(space).split())}: give the space that the actions were taken in"
        )


def _check_valid(mask: np.ndarray, action: np.ndarray, space: spaces.Space) -> None:
    """Whether the masks [B, M] leave the actions a probability above 0."""
    taken = chosen(space, action)
    valid = (mask | ~taken).all(axis=1)
    if not valid.all():
        row = int(valid.argmin())
        raise UsageError(
            f"action is {action[row].tolist()} in row {row}, which the observation's mask "
            "excludes; accepted are valid actions: leave out the "
            f"{int((~valid).sum())} such rows"
        )

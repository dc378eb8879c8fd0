"""`Demonstrations`: transitions with the spaces that give them meaning, checked once, when made."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float, Shaped

from surefoot.common.errors import UsageError, in_short
from surefoot.envs.spaces.action_heads import action_head
from surefoot.envs.spaces.encoding import Encoding
from surefoot.envs.spaces.observations import check_observation_space
from surefoot.envs.spaces.space_text import space_text


@dataclasses.dataclass(frozen=True, eq=False)
class Demonstrations:
    """`B` transitions, episode after episode, each episode's in the order in which they happened.

    Arrays are converted to the types below where nothing is lost. Raises `UsageError` if there are
    none, if lengths or shapes do not fit, if an observation or action is not finite, if an integer
    action does not lie in its space, or if a space is not supported.
    """

    obs: Float[np.ndarray, "B obs"]
    """Encoded observation that the action answers to, not normalized, float32; float64 if it is
    given so and the observation space has types that float32 cannot hold."""
    action: Shaped[np.ndarray, "B ..."]
    """What the environment received, in the action space's dtype."""
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
        return f"<Demonstrations: {len(self.obs):,} transitions{where}, {kinds}>"

    def __post_init__(self) -> None:
        if self.environment is not None and not isinstance(self.environment, str):
            raise UsageError(
                f"environment is {in_short(self.environment)}; accepted is a Gymnasium id, or None"
            )
        check_observation_space(self.observation_space)
        action_head(self.action_space)
        encoding = Encoding(self.observation_space)
        check_recordable(self.observation_space, self.action_space)
        flags = {name: _cast(self, name, bool) for name in ("terminated", "truncated")}
        wide = encoding.wide.any() and np.asarray(self.obs).dtype == np.float64
        arrays = {
            "obs": _cast(self, "obs", np.float64 if wide else np.float32),
            "action": _cast(self, "action", self.action_space.dtype),
            "reward": _cast(self, "reward", np.float64),
            **flags,
        }
        rows = len(arrays["obs"]) if arrays["obs"].ndim else 0
        if rows == 0:
            raise UsageError("there are no demonstrations: obs is empty; record an episode or more")
        shapes = {
            "obs": (rows, encoding.size),
            "action": (rows, *(self.action_space.shape or ())),
            "reward": (rows,),
            "terminated": (rows,),
            "truncated": (rows,),
        }
        for name, array in arrays.items():
            if array.shape != shapes[name]:
                raise UsageError(
                    f"{name} has shape {list(array.shape)}; accepted is {list(shapes[name])}: a "
                    f"row for each of the {rows} in obs, of the shape that its space gives"
                )
            object.__setattr__(self, name, array)
        for name in ("obs", "action"):
            _check_finite(name, arrays[name])
        if not isinstance(self.action_space, spaces.Box):
            _check_in_space(self.action, self.action_space)

    def __len__(self) -> int:
        return len(self.obs)

    @property
    def returns(self) -> Float[np.ndarray, " episodes"]:
        """Sum of raw rewards of each episode that ended, in order."""
        ends = np.flatnonzero(self.terminated | self.truncated)
        if not len(ends):
            return np.zeros(0)
        starts = np.concatenate([[0], ends[:-1] + 1])
        return np.add.reduceat(self.reward[: ends[-1] + 1], starts)


def check_recordable(observation_space: spaces.Space, action_space: spaces.Space) -> None:
    """Raise `UsageError` for what no demonstrations hold yet."""
    encoding = Encoding(observation_space)
    what = None
    if encoding.images or encoding.mask is not None:
        what = "observations with images or masks"
    elif isinstance(action_space, spaces.Dict | spaces.Tuple):
        what = f"actions of {' '.join(str(action_space).split())}"
    if what is not None:
        raise UsageError(
            f"demonstrations of {what}; accepted are observations that are numbers and actions of "
            "one kind: flatten them by a wrapper"
        )


def _cast(demonstrations: Demonstrations, name: str, dtype: Any) -> np.ndarray:
    try:
        array = np.asarray(getattr(demonstrations, name))
    except (TypeError, ValueError):
        value = in_short(getattr(demonstrations, name))
        raise UsageError(f"{name} is {value}; accepted is an array, a row a transition") from None
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


def _check_in_space(action: np.ndarray, space: spaces.Space) -> None:
    """Whether a policy over this space gives the actions a probability above 0."""
    match space:
        case spaces.Discrete():
            low, high = space.start, space.start + space.n - 1
        case spaces.MultiDiscrete():
            low, high = space.start, space.start + space.nvec - 1
        case _:
            low, high = 0, 1
    inside = ((action >= low) & (action <= high)).reshape(len(action), -1).all(axis=1)
    if not inside.all():
        row = int(inside.argmin())
        raise UsageError(
            f"action is {action[row].tolist()} in row {row}; accepted are actions in "
            f"{' '.join(str(space).split())}: give the space that the actions were taken in"
        )

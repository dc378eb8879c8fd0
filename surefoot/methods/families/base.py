"""What every recipe has: a row of the recipe table, where its data comes from, and `build`."""

from __future__ import annotations

import abc
import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from surefoot.common.fields import at_least, validate

if TYPE_CHECKING:
    from surefoot.methods.learners.learner import Learner


class Composition(NamedTuple):
    """A recipe as a combination of parts."""

    objective: str
    geometry: str
    step_size: str
    wrapper: str
    source: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(abc.ABC):
    """Hyperparameters of a method."""

    parts: ClassVar[Composition]
    step_kl: ClassVar[str | None] = None
    """The hyperparameter that says which mean KL(old‖new) a step may have, or should have."""

    def __post_init__(self) -> None:
        validate(self)

    def hyperparameters(self) -> dict[str, Any]:
        """Every field, as JSON."""
        return {
            field.name: field.metadata.get("as_json", _itself)(getattr(self, field.name))
            for field in dataclasses.fields(self)
        }

    @abc.abstractmethod
    def build(self) -> Learner:
        """The learner with these hyperparameters."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnPolicy(Recipe):
    """A method that learns from what its own policy does."""

    num_envs: int = at_least(1, 8)
    """Environments side by side."""
    horizon: int = at_least(1, 256)
    """Steps of each environment in a batch."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Offline(Recipe):
    """A method that learns from what was recorded."""

    data: str = ""
    """The recorded transitions: a file that 'surefoot record' wrote, or minari:DATASET."""


def _itself(value: Any) -> Any:
    return value

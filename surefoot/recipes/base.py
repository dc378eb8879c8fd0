"""What every recipe has: a row of the recipe table, the size of a batch, and `build`."""

from __future__ import annotations

import abc
import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from surefoot.config import at_least, fraction, validate
from surefoot.errors import UsageError

if TYPE_CHECKING:
    from surefoot.algorithm import Algorithm
    from surefoot.update import Update


class Row(NamedTuple):
    """A recipe as a combination of parts."""

    objective: str
    geometry: str
    step_size: str
    wrapper: str
    source: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(abc.ABC):
    """Hyperparameters of a method."""

    parts: ClassVar[Row]

    num_envs: int = at_least(1, 2)
    """Environments side by side."""
    horizon: int = at_least(1, 1024)
    """Steps of each environment in a batch."""
    discount: float = fraction(0.99)
    """γ, the discount."""

    def __post_init__(self) -> None:
        validate(self)
        rows = self.num_envs * self.horizon
        for field in dataclasses.fields(self):
            size = getattr(self, field.name)
            condition = field.metadata.get("only_if")
            used = condition is None or getattr(self, condition)
            if field.metadata.get("divides_batch") and used and rows % size:
                near = max(k for k in range(1, min(size, rows) + 1) if rows % k == 0)
                raise UsageError(
                    f"{field.name} is {size}; accepted is a divisor of horizon × num_envs = "
                    f"{self.horizon} × {self.num_envs} = {rows}, for instance {near}"
                )

    def hyperparameters(self) -> dict[str, Any]:
        """Every field, as JSON."""
        return dataclasses.asdict(self)

    @abc.abstractmethod
    def build(self) -> Algorithm:
        """The algorithm with these hyperparameters."""


def regression(learning_rate: float, epochs: int, minibatch_size: int) -> Update:
    """The critic's update: its likelihood of the value targets, by Adam."""
    import optax

    from surefoot import Epochs, Fixed, Likelihood, Optax, Step

    step = Step(Likelihood(), Optax(optax.adam(1.0)), Fixed(learning_rate))
    return Epochs(step, epochs=epochs, minibatch_size=minibatch_size)

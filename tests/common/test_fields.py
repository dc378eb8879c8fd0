"""What fields accept, up to their bounds and no further."""

import dataclasses
import math

import numpy as np
import pytest

from surefoot.common.errors import UsageError
from surefoot.common.fields import at_least, fraction, nonnegative, number, positive, validate

TINY = math.nextafter(0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Options:
    share: float = fraction(0.5)
    part: float = fraction(0.5, zero=False)
    place: float = number(0.0, -5.0, 5.0)
    rate: float = positive(0.1)
    extra: float = nonnegative(0.1)
    count: int = at_least(1, 3)
    few: int = at_least(1, 3, high=8)


ACCEPTED = {
    "share": [0.0, 1.0, 1],
    "part": [TINY, 1.0],
    "place": [-5.0, 5.0],
    "rate": [TINY, 1e300],
    "extra": [0.0, 1e300],
    "count": [1, 10**30],
    "few": [1, 8, np.int64(8)],
}
REFUSED = {
    "share": [-TINY, math.nextafter(1.0, 2.0), True],
    "part": [0.0, math.nextafter(1.0, 2.0)],
    "place": [math.nextafter(-5.0, -6.0), math.nextafter(5.0, 6.0), math.nan],
    "rate": [0.0, math.inf, "1"],
    "extra": [-TINY, math.inf],
    "count": [0, 1.5],
    "few": [0, 9, 8.0, True],
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_bound_is_accepted_and_what_lies_beyond_it_is_not(name):
    for value in ACCEPTED[name]:
        validate(Options(**{name: value}))
    for value in REFUSED[name]:
        with pytest.raises(UsageError, match=rf"{name} is .*; accepted is an? .*"):
            validate(Options(**{name: value}))

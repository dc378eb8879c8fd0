"""What is trained acts the same once it was saved, resumed or exported, whatever its spaces."""

import pytest

from benchmarks import random_spaces
from support.suites import cases

#: Those that are refused compile nothing.
REFUSED = [5, 8, 13]


@pytest.mark.parametrize("number", cases(range(40), fast=REFUSED))
def test_an_agent_acts_the_same_wherever_it_has_been_or_is_refused_at_once(number, tmp_path):
    outcome = random_spaces.check(number, tmp_path)
    assert outcome.verdict == ("refused" if number in REFUSED else "same"), outcome.reason

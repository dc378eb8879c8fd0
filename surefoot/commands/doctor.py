"""`surefoot doctor`: versions, devices, and whether they compute correctly."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from surefoot.arguments import parse


@dataclasses.dataclass(frozen=True, kw_only=True)
class Doctor:
    """Show versions and devices, and check that this build of JAX computes correctly."""


def main(arguments: Sequence[str]) -> int:
    """Examine this installation, and return the exit code."""
    parse(Doctor, arguments, prog="surefoot doctor", positionals=[])
    from surefoot import doctor

    return doctor.main()

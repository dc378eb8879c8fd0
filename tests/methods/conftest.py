"""No array is given another rank or another type without a word."""

from support.strict import strict

__all__ = ["strict"]

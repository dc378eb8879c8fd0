"""`History`: how a run went, a column a number and a row an iteration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from surefoot.common.errors import UsageError, closest

Column = Float[np.ndarray, " rows"] | Int[np.ndarray, " rows"]


class History(Mapping[str, Column]):
    """The metrics of a run by their names, which are those of `metrics.csv`: `history["kl_mean"]`
    is an array of one number an iteration, integers where all of them are, and NaN where a row has
    none."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = dict(columns)

    def __getitem__(self, name: str) -> Column:
        if name not in self._columns:
            raise UsageError(
                f"the history has no column {name!r}; it has {', '.join(self._columns) or 'none'}."
                f"{closest(str(name), self._columns)}"
            )
        return self._columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def get(self, name: str, default: Any = None) -> Any:
        """The column, or `default` where there is none of that name."""
        return self._columns.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def rows(self) -> int:
        """Iterations."""
        return len(next(iter(self._columns.values()), ()))

    def __repr__(self) -> str:
        names = list(self._columns)
        more = f", … {names[-1]}" if len(names) > 8 else ""
        return f"<History: {self.rows:,} rows of {', '.join(names[:8])}{more}>"

    def to_pandas(self) -> Any:
        """The columns as a `pandas.DataFrame`. Raises `UsageError` where there is no pandas."""
        try:
            import pandas
        except ImportError:
            raise UsageError("to_pandas needs the package 'pandas': pip install pandas") from None
        return pandas.DataFrame(self._columns)

"""A plugin of pytest's that writes down which tests failed and which package they ran with.

It lies beside the copy of the package that is tested, and imports nothing of this one.
"""

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

#: The file to write.
VARIABLE = "PLANTED_FAULTS_RECORD"

failures: list[dict[str, Any]] = []


def pytest_exception_interact(node: Any, call: Any, report: Any) -> None:
    """A test, its setup, or a file that was being collected raised something."""
    error = call.excinfo.value
    failures.append(
        {
            "test": report.nodeid or node.nodeid,
            "when": getattr(report, "when", None) or "collect",
            "kinds": [kind.__name__ for kind in type(error).__mro__],
            "message": _line(error),
        }
    )


def _line(error: BaseException) -> str:
    """What it says; of a file that cannot be collected, pytest's text has that at its end."""
    lines = str(error).strip().splitlines() or [""]
    if type(error).__name__ == "CollectError":
        return lines[-1].removeprefix("E").strip()[:300]
    return f"{type(error).__name__}: {lines[0]}"[:300]


def pytest_sessionfinish(session: Any, exitstatus: int) -> None:
    """Write the record."""
    found = importlib.util.find_spec("surefoot")
    record = {
        "package": None if found is None else found.origin,
        "exit_code": int(exitstatus),
        "tests": session.testscollected,
        "failures": failures,
    }
    Path(os.environ[VARIABLE]).write_text(json.dumps(record), encoding="utf-8")

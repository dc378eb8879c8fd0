"""Runs the tests on each fault: its own first, then those of its room, then the rest."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.planted_faults import results
from benchmarks.planted_faults.fault import Fault
from benchmarks.planted_faults.planting import plant
from benchmarks.planted_faults.results import Result, Verdict
from benchmarks.planted_faults.testing import Outcome, Suite

#: Exit codes of pytest's where nothing failed: all passed, or the suite has none of the tests.
_PASSED = (0, 5)
#: A fault that makes a program of nonsense is none that a programmer would commit.
_NONSENSE = {"ImportError", "NameError", "SyntaxError"}


def run(
    faults: Sequence[Fault], suite: Suite, folder: Path, *, whole: bool, jobs: int = 1
) -> dict[str, Result]:
    """The result of every fault, by its name: what is known is taken, the rest is run, `jobs` at a
    time, and written to the folder. Raises `UsageError` where tests cannot be run."""
    commit = results.code_version(suite.checkout)

    def one(fault: Fault) -> Result:
        result = results.known(folder, fault, commit, suite=suite.name, whole=whole)
        if result is None:
            result = examine(fault, suite, commit, whole=whole)
            results.write(folder, result)
            print(results.line(result), flush=True)
        return result

    for fault in faults:
        suite.find(fault)
    with ThreadPoolExecutor(jobs) as threads, suite:
        waiting = [threads.submit(one, fault) for fault in faults]
        try:
            told = [future.result() for future in waiting]
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
        return {result.fault: result for result in _confirmed(told, suite, folder)}


def examine(fault: Fault, suite: Suite, commit: str | None, *, whole: bool) -> Result:
    """Run the tests on a copy of the package with the fault."""
    first = suite.find(fault)
    turns = [first]
    if whole:
        turns.append(suite.rest(fault))
    begin = time.monotonic()
    verdict: Verdict = "survived"
    test = message = None
    with tempfile.TemporaryDirectory(prefix="planted-fault-") as scratch:
        plant(suite.checkout, Path(scratch), fault)
        for chosen in turns:
            outcome = suite.run(Path(scratch), chosen)
            verdict, test, message = _judged(outcome)
            if verdict != "survived":
                break
    return Result(
        fault=fault.name,
        verdict=verdict,
        test=test,
        message=message,
        seconds=round(time.monotonic() - begin, 1),
        suite=suite.name,
        whole=whole,
        confirmed=False,
        edit=results.digest(fault),
        commit=commit,
    )


def _judged(outcome: Outcome) -> tuple[Verdict, str | None, str | None]:
    """(verdict, test, what it said). Caught is where pytest ends with 1 because a test failed: not
    where files could not be imported, or the program became nonsense."""
    code, failures = outcome
    if code is None:
        return "timed out", None, None
    if code in _PASSED and not failures:
        return "survived", None, None
    if not failures:
        return "invalid", None, f"pytest ended with exit code {code}"
    first = failures[0]
    sound = code == 1 and first.when != "collect" and not _NONSENSE & set(first.kinds)
    return ("caught" if sound else "invalid"), first.test or None, first.message


def _confirmed(told: list[Result], suite: Suite, folder: Path) -> list[Result]:
    """The results, once the tests that caught something have passed without any fault; what is
    caught by a test that fails without it is invalid."""
    caught = [one for one in told if one.verdict == "caught" and not one.confirmed]
    if not caught:
        return told
    names = sorted({one.test for one in caught if one.test is not None})
    with tempfile.TemporaryDirectory(prefix="planted-fault-") as scratch:
        plant(suite.checkout, Path(scratch), None)
        code, failures = suite.run(Path(scratch), names, stop=False)
    if code not in (0, 1):
        print(f"the tests could not be confirmed: pytest ended with exit code {code}", flush=True)
        return told
    failing = {failure.test for failure in failures}
    seen = {}
    for one in caught:
        if one.test in failing:
            why = "the test fails without the fault, too"
            seen[one.fault] = one._replace(verdict="invalid", message=why)
            print(results.line(seen[one.fault]), flush=True)
        else:
            seen[one.fault] = one._replace(confirmed=True)
        results.write(folder, seen[one.fault])
    return [seen.get(one.fault, one) for one in told]

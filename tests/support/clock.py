"""Where the tests' time goes: `pytest --clock` prints, room by room, the seconds that JAX spent on
tracing, lowering, compiling and fetching programs from the cache, and those of everything else.

Seconds are those of processes: with two workers, twice as many as of the clock on the wall.
"""

import collections
import threading
import time

import jax
import pytest

STAGES = {
    "/jax/core/compile/jaxpr_trace_duration": "tracing",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lowering",
    "/jax/core/compile/backend_compile_duration": "compiling",
    "/jax/compilation_cache/cache_retrieval_time_sec": "fetching",
}
COLUMNS = ("tests", "programs", "total", *STAGES.values(), "the rest")


class Clock:
    """Seconds by room and stage. What one stage does within another is counted as its own."""

    def __init__(self):
        self.rooms = collections.defaultdict(collections.Counter)
        self._room = "between tests"
        self._ended = collections.defaultdict(collections.deque)
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event, duration, **_):
        if event not in STAGES:
            return
        begin = time.perf_counter() - duration
        ended = self._ended[threading.get_ident()]
        inner = 0.0
        while ended and ended[-1][0] >= begin:
            inner += ended.pop()[1]
        ended.append((begin, duration))
        self.rooms[self._room][STAGES[event]] += max(0.0, duration - inner)
        self.rooms[self._room]["programs"] += STAGES[event] == "compiling"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item):
        _, *parts = item.nodeid.partition("::")[0].split("/")
        self._room = parts[0] if len(parts) > 1 else "project"
        begin = time.perf_counter()
        result = yield
        self.rooms[self._room]["total"] += time.perf_counter() - begin
        self.rooms[self._room]["tests"] += 1
        self._room = "between tests"
        return result

    def pytest_sessionfinish(self, session):
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["clock"] = {k: dict(v) for k, v in self.rooms.items()}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node):
        for room, seconds in getattr(node, "workeroutput", {}).get("clock", {}).items():
            self.rooms[room].update(seconds)

    def pytest_terminal_summary(self, terminalreporter):
        rows = {room: seconds for room, seconds in sorted(self.rooms.items()) if seconds["tests"]}
        rows["all"] = sum(rows.values(), collections.Counter())
        terminalreporter.section("where the time goes, in seconds of processes")
        terminalreporter.line("room".ljust(12) + "".join(f"{name:>11}" for name in COLUMNS))
        for room, seconds in rows.items():
            seconds["the rest"] = seconds["total"] - sum(seconds[s] for s in STAGES.values())
            cells = "".join(f"{seconds[name]:11.0f}" for name in COLUMNS)
            terminalreporter.line(room.ljust(12) + cells)


def pytest_addoption(parser):
    parser.addoption("--clock", action="store_true", help="print where the time goes")


def pytest_configure(config):
    if config.getoption("clock"):
        config.pluginmanager.register(Clock(), "clock")

"""Programs that the tests compile: kept from one session to the next, and dropped from memory
before there are too many.

Every process has a folder of its own, filled from the common one when it begins and emptied into
it when it ends. So no process reads what another one is writing, and none waits for a lock. This
module is imported before JAX, which reads its settings once.
"""

import contextlib
import gc
import importlib.metadata
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

#: Names another folder than that of the checkout.
VARIABLE = "SUREFOOT_TEST_CACHE"
FOLDER = Path(__file__).parents[2] / ".test-cache"
PRIVATE = "of-a-process-"
#: Seconds after which a private folder is that of a process that was killed.
DAY = 86_400
#: Bytes that the common folder holds; what was compiled first goes first.
LARGEST = 2**31

#: Of the memory mappings that the system allows a process. A program takes some for each of its
#: kernels, and the compiler crashes where there are no more.
SHARE = 0.6


def configure():
    """Let JAX keep all programs, in a folder of this process; returns what is to be called at its
    end. Processes that a test starts use that folder, too."""
    root = Path(os.environ.get(VARIABLE) or FOLDER)
    root.mkdir(parents=True, exist_ok=True)
    for left in root.glob(f"{PRIVATE}*"):
        with contextlib.suppress(FileNotFoundError):  # Another process takes its own off.
            if time.time() - left.stat().st_mtime > DAY:
                shutil.rmtree(left, ignore_errors=True)
    own = Path(tempfile.mkdtemp(prefix=PRIVATE, dir=root))
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(own)
    os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] = "-1"
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    # XLA's own caches, of which the processor has none, would make the folder's name a part of
    # every program's key.
    os.environ["JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES"] = "none"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

    from surefoot.common.jax_setup import processor

    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    common = root / f"{python}-jax{importlib.metadata.version('jax')}-{processor()}"
    common.mkdir(exist_ok=True)
    for path in common.glob("*-cache"):
        with contextlib.suppress(FileNotFoundError):
            os.link(path, own / path.name)

    def finish():
        _publish(own, common)
        shutil.rmtree(own, ignore_errors=True)  # A process that a test left may still write.
        _shrink(common, LARGEST)

    return finish


def _publish(own, common):
    """Give the common folder the programs of this one that it lacks, but for those that a process
    was ended while it wrote."""
    for path in own.glob("*-cache"):
        if (common / path.name).exists() or not _is_whole(path):
            continue
        # Another process may take one off, or be the first to bring one.
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            os.link(path, common / path.name)


def _is_whole(program):
    """Whether the file can be unpacked. It could be read where it is, and JAX would warn of it in
    every session to come."""
    from jax._src import compilation_cache

    try:
        compilation_cache.decompress_executable(program.read_bytes())
    except Exception:
        return False
    return True


def _shrink(folder, largest):
    """Take the oldest programs off until the folder holds no more bytes than `largest`."""
    files = []
    for path in folder.glob("*-cache"):
        with contextlib.suppress(FileNotFoundError):
            files.append((path.stat().st_mtime, path.stat().st_size, path))
    size = sum(size for _, size, _ in files)
    for _, bytes_, path in sorted(files):
        if size <= largest:
            break
        path.unlink(missing_ok=True)
        size -= bytes_


class Mappings:
    """Forgets all programs where a process comes near the limit of memory mappings; asked after
    every test, it looks only where programs have come."""

    def __init__(self):
        import jax

        self._came = False
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event, duration, **_):
        self._came |= event == "/jax/core/compile/backend_compile_duration"

    def look(self):
        if not self._came:
            return
        self._came = False
        try:
            limit = int(Path("/proc/sys/vm/max_map_count").read_text())
            with Path("/proc/self/maps").open("rb") as maps:
                mapped = sum(1 for _ in maps)
        except OSError:  # Another system than Linux.
            return
        if mapped > SHARE * limit:
            forget_programs()


def forget_programs():
    """Drop all compiled programs of this process."""
    import jax

    from surefoot.common import compile_cache

    compile_cache._programs.clear()
    jax.clear_caches()
    gc.collect()

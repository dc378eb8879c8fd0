"""How JAX is set up for training: for many small calls, and so that nothing is compiled twice.

The settings hold for the whole process, JAX programs that are not surefoot's included. They are
made when surefoot is imported; a variable that is set stands, and where JAX has been imported
before, nothing is touched. Processes that it starts do not inherit them once the first run has been
built: JAX has read them then, and they are taken back.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sys
from pathlib import Path

#: Where compiled programs are kept, if not in the user's cache folder; "off" keeps none.
CACHE_VARIABLE = "SUREFOOT_CACHE"
#: Bytes of compiled programs that are kept; those not used for longest go first.
CACHE_SIZE = 2**30

_untouched = "jax" in sys.modules
_one_core = False
# Variables that were set here, and what a run's programs were told of cores when it was taken back.
_ours: dict[str, str] = {}
_told_cores: str | None = None


def configure_before_import() -> None:
    """Make the settings that JAX reads when it is imported."""
    global _one_core
    if _untouched:
        return
    # A policy acts tens of thousands of times a run, in calls of some 20 µs. Handed to a pool of
    # threads they take three times as long, and wait for whatever else runs there. Run in the
    # thread that asks, they take their own time, and no result depends on the number of cores.
    _one_core = "NPROC" not in os.environ
    _default("NPROC", "1")

    folder = None if "JAX_COMPILATION_CACHE_DIR" in os.environ else _cache_folder()
    if folder is None:
        return
    _sweep(folder)
    _default("JAX_COMPILATION_CACHE_DIR", str(folder))
    _default("JAX_COMPILATION_CACHE_MAX_SIZE", str(CACHE_SIZE))
    # By default JAX keeps only what took a second to compile; a run is made of smaller programs.
    _default("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    # XLA takes two of its own compiler flags for features that this processor lacks, and says so at
    # length for every program that it finds.
    _default("TF_CPP_MIN_LOG_LEVEL", "3")


def _default(name: str, value: str) -> None:
    if name not in os.environ:
        _set(name, value)


def _set(name: str, value: str) -> None:
    os.environ[name] = _ours[name] = value


def take_back() -> None:
    """Take the variables away that were set here, if JAX has read them: other processes are not
    meant."""
    global _told_cores
    if not _ours or not _computed():
        return
    if "NPROC" in _ours:
        _told_cores = os.environ.get("NPROC")
    for name, value in _ours.items():
        if os.environ.get(name) == value:
            del os.environ[name]
    _ours.clear()


def allow_parallel_runs(runs: int) -> None:
    """Let several runs' programs run at once, each on a core. JAX reads it when it first computes;
    later it changes nothing."""
    if _one_core and not _computed():
        _set("NPROC", str(min(runs, os.cpu_count() or 1)))


def cores() -> str:
    """The number of cores that a call may be shared out over, "all" where nothing limits it. How
    large products are summed depends on it."""
    return _told_cores or os.environ.get("NPROC", "all")


def use_cores(cores: str) -> None:
    """Compute as a process did in which `cores` said that, unless the user has chosen another
    number, or JAX has computed already."""
    if _one_core and cores.isdecimal() and not _computed():
        _set("NPROC", cores)


def _computed() -> bool:
    """Whether JAX has read its settings: the number of its CPU devices is fixed then."""
    import jax

    devices = jax.config.values["jax_num_cpu_devices"]
    try:
        jax.config.update("jax_num_cpu_devices", devices + 1)
    except RuntimeError:
        return True
    jax.config.update("jax_num_cpu_devices", devices)
    return False


def configure_before_compute() -> None:
    """Make the setting that JAX reads when it first computes, the other half of running calls in
    the thread that asks; once, so that one made later stands."""
    global _untouched
    if _untouched:
        return
    import jax

    jax.config.update("jax_cpu_enable_async_dispatch", False)
    _untouched = True


def _cache_folder() -> Path | None:
    """A folder that can be written, or none."""
    chosen = os.environ.get(CACHE_VARIABLE, "")
    if chosen.lower() == "off":
        return None
    try:
        root = Path(chosen).expanduser() if chosen else _user_cache() / "surefoot" / "compiled"
        folder = root / processor()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: there is no home.
        return None
    return folder if os.access(folder, os.W_OK) else None


def _sweep(folder: Path) -> None:
    """Take off the programs that a process was ended while it wrote. JAX writes when a program was
    used after the program itself, and without that it never keeps another one."""
    from filelock import FileLock, Timeout

    # JAX's own lock. Whoever holds it will have swept, or comes next.
    with contextlib.suppress(OSError, Timeout), FileLock(folder / ".lockfile", timeout=1.0):
        for program in folder.glob("*-cache"):
            if not program.with_name(f"{program.name.removesuffix('-cache')}-atime").exists():
                program.unlink()


def _user_cache() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def processor() -> str:
    """A name for what this processor can do: programs compiled for one may crash on another that
    shares the folder."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(errors="replace").splitlines()
        features = next((x for x in lines if x.startswith(("flags", "Features"))), "")
    else:
        features = platform.processor()
    return hashlib.sha256((platform.machine() + features).encode()).hexdigest()[:16]

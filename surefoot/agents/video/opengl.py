"""Which OpenGL MuJoCo draws with, where there may be no display."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

from surefoot.common.errors import UsageError

_DRAW = """
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco/>")
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 64, 64) as renderer:
    renderer.update_scene(data)
    renderer.render()
"""


def choose_opengl() -> None:
    """Set `MUJOCO_GL` of this process to what works: what it is set to, or else glfw where there
    is a display, egl, or osmesa. Raises `UsageError` where none does."""
    asked = os.environ.get("MUJOCO_GL")
    candidates = [asked] if asked else _candidates()
    reasons = {}
    for name in candidates:
        reason = _what_fails(name)
        if reason is None:
            os.environ["MUJOCO_GL"] = name
            return
        reasons[name] = reason
    told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    instead = "unset MUJOCO_GL" if asked else "set MUJOCO_GL=egl or osmesa"
    raise UsageError(
        f"MuJoCo can draw no frames here ({told}): install EGL (Debian: libegl1 libgl1-mesa-dri) "
        f"or OSMesa (libosmesa6), and {instead}"
    )


def has_display() -> bool:
    """Whether windows can be shown, as far as the process can know."""
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _candidates() -> list[str]:
    headless = ["egl", "osmesa"] if sys.platform == "linux" else []
    return [*(["glfw"] if has_display() else []), *headless]


@functools.cache
def _what_fails(name: str) -> str | None:
    """What is said of drawing a frame with this OpenGL, if it fails. It is tried in a process of
    its own: one in which it failed can load no other."""
    try:
        tried = subprocess.run(
            [sys.executable, "-P", "-c", _DRAW],
            env={**os.environ, "MUJOCO_GL": name},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
    except subprocess.TimeoutExpired:
        return "no frame within 60 s"
    if tried.returncode == 0:
        return None
    lines = tried.stderr.strip().splitlines()
    return lines[-1][:200] if lines else f"exit code {tried.returncode}"

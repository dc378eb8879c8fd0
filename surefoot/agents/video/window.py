"""An environment that shows in a window what happens in it."""

from __future__ import annotations

import os

import gymnasium

from surefoot.agents.video.opengl import has_display
from surefoot.agents.video.renderer import make_drawing
from surefoot.common.errors import UsageError
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.make import EnvSource

_MODE = "human"
_INSTEAD = "a film needs none: --video FILE.mp4, or video= in Python"
#: Packages that open windows: their exceptions say why there is none.
_WINDOWS = ("pygame", "glfw", "mujoco")


def open_window(source: EnvSource | DeviceEnv) -> gymnasium.Env:
    """The environment with its window open. Raises `UsageError` where there can be none."""
    # What SDL is told to draw with may need no display.
    if not has_display() and not os.environ.get("SDL_VIDEODRIVER"):
        raise UsageError(f"there is no display for a window; {_INSTEAD}")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    env = make_drawing(source, mode=_MODE, purpose="a window")
    name = env.spec.id if env.spec is not None else type(env.unwrapped).__name__
    try:
        if env.render_mode != _MODE:
            raise UsageError(
                f"{name} has the render mode {env.render_mode!r}; accepted for a window is an "
                f"environment that is made with render_mode={_MODE!r}"
            )
        try:
            env.reset(seed=0)
        except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
            raise UsageError(
                f"a window of {name} needs a package that is not installed "
                f"({str(error).splitlines()[0]}): pip install 'surefoot[video]'"
            ) from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in _WINDOWS:
                raise
            reason = " ".join(str(error).split())
            raise UsageError(f"{name} opens no window here ({reason}); {_INSTEAD}") from error
    except BaseException:
        env.close()
        raise
    return env

"""One environment that draws what happens in it."""

from __future__ import annotations

import os
import warnings
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv
from jaxtyping import UInt8

from surefoot.agents.video.opengl import choose_opengl, has_display
from surefoot.common.errors import UsageError
from surefoot.envs.device.classic import DEVICE_ENVS
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.env_ids import check_env_id
from surefoot.envs.host.atari import MakeAtari
from surefoot.envs.make import EnvSource
from surefoot.envs.registered import MakeCall, called, make_registered

_MODE = "rgb_array"
#: Frames a second where an environment does not say.
_FPS = 30.0
_INSTALL = "pip install 'surefoot[video]'"


class Renderer:
    """An environment with its frames, made from what an agent is evaluated on. Raises `UsageError`
    where it draws none."""

    def __init__(self, source: EnvSource | DeviceEnv) -> None:
        self._env = env = make_drawing(source)
        self.name = env.spec.id if env.spec is not None else type(env.unwrapped).__name__
        try:
            if env.render_mode != _MODE:
                raise UsageError(
                    f"{self.name} has the render mode {env.render_mode!r}; accepted for a video is "
                    f"an environment that is made with render_mode={_MODE!r}"
                )
            if any("mujoco" in kind.__module__ for kind in type(env.unwrapped).__mro__):
                choose_opengl()
            self.fps = float(env.metadata.get("render_fps") or _FPS)
            self.reset(0)
            #: One frame, to tell the size of all.
            self.first = self._first_frame()
        except BaseException:
            env.close()
            raise

    def reset(self, seed: int | None) -> None:
        """Begin an episode."""
        self._env.reset(seed=seed)

    def step(self, action: Any) -> float:
        """Take a step: its reward."""
        return float(self._env.step(action)[1])

    def frame(self) -> UInt8[np.ndarray, "H W 3"]:
        """What is seen now. Raises `UsageError` if that is no picture."""
        drawn: Any = self._env.render()
        if not (isinstance(drawn, np.ndarray) and drawn.ndim == 3 and drawn.shape[2] == 3):
            what = f"shape {drawn.shape}" if isinstance(drawn, np.ndarray) else type(drawn).__name__
            raise UsageError(
                f"{self.name} draws {what}; accepted are frames of shape (height, width, 3)"
            )
        if drawn.dtype != np.uint8:
            raise UsageError(f"{self.name} draws frames of {drawn.dtype}; accepted is uint8")
        return drawn

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    def _first_frame(self) -> UInt8[np.ndarray, "H W 3"]:
        # pygame greets on standard output, looks for a display that it does not draw on, and uses
        # what setuptools deprecates.
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        if not has_display():
            os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
                return self.frame()
        except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
            raise UsageError(
                f"a video of {self.name} needs a package that is not installed "
                f"({str(error).splitlines()[0]}): {_INSTALL}"
            ) from error


def make_drawing(
    source: EnvSource | DeviceEnv, *, mode: str = _MODE, purpose: str = "a video"
) -> gymnasium.Env:
    """The environment with that render mode; a callable makes what it makes. Raises `UsageError`
    where there is none."""
    if isinstance(source, DeviceEnv):
        if source not in DEVICE_ENVS.values():
            raise UsageError(
                f"the device environment {source.name} draws no frames; accepted for {purpose} are "
                f"{', '.join(DEVICE_ENVS)}, which Gymnasium's draw, or pass env="
            )
        source = source.name
    if isinstance(source, VectorEnv):
        raise UsageError(
            f"{purpose} of a vector environment cannot be made: pass env=, a Gymnasium id or a "
            f"callable that makes an environment with render_mode={mode!r}"
        )
    if isinstance(source, MakeAtari):
        return source(render_mode=mode)
    call = MakeCall.of(source)
    if call is None:
        assert callable(source), "names are calls, too"
        return source()
    spec = gymnasium.spec(check_env_id(call.env_id))
    modes = _modes(spec)
    # Gymnasium shows frames in a window, too.
    if modes is not None and mode not in modes and _MODE not in modes:
        raise UsageError(
            f"environment {called(source)} draws no frames: its render modes are {list(modes)}, "
            f"and {purpose} needs {mode!r}"
        )
    try:
        return make_registered(spec, **{**call.options, "render_mode": mode})
    except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
        raise UsageError(
            f"environment {called(source)} needs a package that is not installed: "
            f"{str(error).splitlines()[0]}"
        ) from error


def _modes(spec: Any) -> Any:
    """The render modes that an environment declares, if they can be known before it is made."""
    entry = spec.entry_point
    try:
        made_by = (
            gymnasium.envs.registration.load_env_creator(entry) if isinstance(entry, str) else entry
        )
    except ImportError:
        return None  # Making it tells what is missing.
    return getattr(made_by, "metadata", {"render_modes": None}).get("render_modes", ())

"""Atari games of the Arcade Learning Environment (Bellemare et al. 2013), as policies see them.

An id below ALE/ is made with Gymnasium's own wrappers: a game begins with a random number of
no-ops, an action lasts a few frames, the maximum of the last two of which is seen, and the newest
gray pictures are stacked (Mnih et al. 2015). A frame may repeat the last action, whatever the
policy says, by default with the probability that the id says (Machado et al. 2018). What a callable
makes stays as it is.

Games that are learned from one life at a time go on when a life is lost: `AtariGame` says so, and
whoever learns takes it for an end. No JAX is imported, so that a worker process can use it.
"""

from __future__ import annotations

import base64
import importlib.util
import zlib
from typing import Any, NamedTuple

import gymnasium
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

from surefoot.common.errors import UsageError
from surefoot.common.settings import RunSettings
from surefoot.envs.registered import called, make_registered

PREFIX = "ALE/"
#: What is imported, and the package that has it.
_PACKAGES = {"ale_py": "ale-py", "cv2": "opencv-python-headless"}
#: Of a console's picture.
_FRAMES_PER_SECOND = 60
#: Frames after which EnvPool is to cut a game, as ALE does.
_MAX_FRAMES = 108_000


class Preprocessing(NamedTuple):
    """What becomes of a game's frames; fields and defaults are those of `RunSettings`."""

    noop_max: int = RunSettings.noop_max
    """No-ops that a game begins with at most."""
    frame_skip: int = RunSettings.frame_skip
    """Frames that an action lasts."""
    screen_size: int = RunSettings.screen_size
    """Height and width of what is seen, pixels."""
    frame_stack: int = RunSettings.frame_stack
    """Pictures that are seen at once."""
    repeat_action_probability: float = RunSettings.repeat_action_probability
    """Probability that a frame repeats the last one's action."""
    terminal_on_life_loss: bool = RunSettings.terminal_on_life_loss
    """Whether a lost life ends an episode for learning."""

    @classmethod
    def of(cls, settings: RunSettings) -> Preprocessing:
        """That of a run."""
        return cls(*(getattr(settings, name) for name in cls._fields))

    def of_pool(self) -> dict[str, Any]:
        """The same as options of EnvPool's. What lives and rewards are to learning is no business
        of the environment's there either. Raises `UsageError` for what would end the process."""
        if self.noop_max == 0:
            raise UsageError("noop_max is 0 with EnvPool; accepted is 1 or more: pass --noop-max 1")
        return {
            "noop_max": self.noop_max,
            "frame_skip": self.frame_skip,
            "img_height": self.screen_size,
            "img_width": self.screen_size,
            "stack_num": self.frame_stack,
            "repeat_action_probability": self.repeat_action_probability,
            "max_episode_steps": _MAX_FRAMES // self.frame_skip,
            # Gymnasium's wrappers press no button.
            "use_fire_reset": False,
        }


DEFAULT = Preprocessing()


def is_atari(source: Any) -> bool:
    """Whether it is the id of a game."""
    return isinstance(source, str) and source.startswith(PREFIX)


def has_games() -> bool:
    """Whether the package is installed that has the games."""
    return importlib.util.find_spec("ale_py") is not None


def register_games(env_id: str) -> None:
    """Have Gymnasium know the games. Raises `UsageError` where a package is missing that the one of
    this id needs."""
    for module, package in _PACKAGES.items():
        if env_id and importlib.util.find_spec(module) is None:
            raise UsageError(
                f"environment {env_id!r} needs the package {package!r}: "
                "pip install 'surefoot[atari]'"
            )
    import ale_py

    # It greets on standard error in every process.
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)


def gymnasium_id(source: Any, backend: str) -> Any:
    """A game that EnvPool calls Pong-v5 by Gymnasium's name for it, ALE/Pong-v5, on which its agent
    is played; everything else as it is."""
    if backend != "envpool" or not isinstance(source, str) or not has_games():
        return source
    register_games("")
    known = gymnasium.registry
    return PREFIX + source if source not in known and PREFIX + source in known else source


def check_settings(source: Any, settings: RunSettings) -> None:
    """Raise `UsageError` for settings of games with an environment that is none."""
    if is_atari(source):
        return
    for name, value in Preprocessing.of(settings)._asdict().items():
        default = getattr(RunSettings, name)
        if value != default:
            raise UsageError(
                f"{name} is {value!r} with the environment {called(source)}, which is no Atari "
                f"game's id, {PREFIX}Pong-v5 for instance; accepted is the default, {default!r}"
            )


class MakeAtari:
    """A callable that makes a game; it can be pickled."""

    def __init__(self, env_id: str, preprocessing: Preprocessing) -> None:
        register_games(env_id)
        self.env_id, self.preprocessing = env_id, preprocessing
        self._spec = gymnasium.spec(env_id)

    def __repr__(self) -> str:
        return repr(self.env_id)

    def __call__(self, **options: Any) -> gymnasium.Env:
        """The game, with options of `gymnasium.make`."""
        told = self.preprocessing
        register_games(self.env_id)
        game = make_registered(
            self._spec,
            frameskip=1,
            repeat_action_probability=told.repeat_action_probability,
            # Frames that the wrappers ask the game for themselves.
            obs_type="grayscale",
            **options,
        )
        seen = AtariPreprocessing(
            game,
            noop_max=told.noop_max,
            frame_skip=told.frame_skip,
            screen_size=told.screen_size,
        )
        stacked = FrameStackObservation(seen, told.frame_stack)
        return AtariGame(stacked, told.frame_skip, lives_end=told.terminal_on_life_loss)


class AtariGame(gymnasium.Wrapper):
    """A game that says where a life was lost, and whose randomness can be put back: that of ALE is
    no part of `np_random`."""

    def __init__(self, env: gymnasium.Env, frame_skip: int, *, lives_end: bool) -> None:
        super().__init__(env)
        self.lives_end = lives_end
        """Whether a lost life ends an episode for learning."""
        self.life_lost = False
        """Whether one was lost in the last step and does; the game goes on. Where none is left, a
        game may still take a few frames to end."""
        self._lives = 0
        self.metadata = {**env.metadata, "render_fps": _FRAMES_PER_SECOND / frame_skip}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        obs, info = self.env.reset(seed=seed, options=options)
        self._lives, self.life_lost = info["lives"], False
        return obs, info

    def step(self, action: Any) -> Any:
        result = self.env.step(action)
        _, _, terminated, truncated, info = result
        goes_on = not (terminated or truncated)
        self.life_lost = self.lives_end and goes_on and 0 < info["lives"] < self._lives
        self._lives = info["lives"]
        return result

    def random_state(self) -> dict[str, Any]:
        """Where the game's generators stand, and all of the emulator with them."""
        game: Any = self.unwrapped
        state = game.ale.cloneState(include_rng=True).__getstate__()
        return {"numpy": game.np_random.bit_generator.state, "ale": state}

    def set_random_state(self, told: dict[str, Any]) -> None:
        """Put them back, as `in_text` has them: a reset without a seed is then the one that
        followed."""
        import ale_py

        game: Any = self.unwrapped
        state: Any = ale_py.ALEState.__new__(ale_py.ALEState)
        state.__setstate__(zlib.decompress(base64.b64decode(told["ale"])))
        game.ale.restoreState(state)
        game.np_random.bit_generator.state = told["numpy"]


def in_text(state: Any) -> Any:
    """An `AtariGame.random_state` as JSON can have it; anything else as it is."""
    if not isinstance(state, dict) or "ale" not in state:
        return state
    return {**state, "ale": base64.b64encode(zlib.compress(state["ale"])).decode()}


def game_of(env: gymnasium.Env) -> AtariGame | None:
    """The game in an environment that may be wrapped; `None` where there is none."""
    layer: Any = env
    while isinstance(layer, gymnasium.Wrapper):
        if isinstance(layer, AtariGame):
            return layer
        layer = layer.env
    return None

"""An evaluation, some of whose episodes are filmed.

What is evaluated is what is evaluated without a film, to the last bit. The environments that play
draw nothing: afterwards one that draws takes the filmed episodes' actions again, from the same
seeds, and has to earn the same rewards.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from surefoot.agents.playing.episodes import Actor, HostStep, play_on_host
from surefoot.agents.playing.evaluation import Evaluation, evaluate
from surefoot.agents.video.encoder import Encoder, find_ffmpeg
from surefoot.agents.video.renderer import Renderer
from surefoot.common.errors import UsageError
from surefoot.common.files.atomic import beside, check_new_file
from surefoot.common.settings import MAX_EPISODE_STEPS
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.host.host_env import HostEnv
from surefoot.envs.make import EnvSource, make_host


class Step(NamedTuple):
    """A step that is to be taken again."""

    action: Any
    reward: float


class ActionLog:
    """What is to be filmed of an evaluation: its first episodes, those of the first
    sub-environment before those of the second, and so on."""

    def __init__(self, num_envs: int, *, episodes: int, filmed: int) -> None:
        shares = [(episodes + i) // num_envs for i in range(num_envs)]
        before = itertools.accumulate(shares, initial=0)
        wanted = [max(0, min(s, filmed - b)) for s, b in zip(shares, before, strict=False)]
        #: Per sub-environment its filmed episodes, each its steps.
        self.episodes: list[list[list[Step]]] = [[[] for _ in range(n)] for n in wanted]
        self._at = np.zeros(num_envs, int)

    def add(self, step: HostStep) -> None:
        """Write down what is to be filmed of a step of all."""
        for i, episodes in enumerate(self.episodes):
            if step.counts[i] and self._at[i] < len(episodes):
                # A copy: the next step may be written in its place.
                taken = Step(copy.copy(step.action[i]), float(step.reward[i]))
                episodes[self._at[i]].append(taken)
                self._at[i] += step.terminated[i] | step.truncated[i]


class UnfilmedError(UsageError):
    """A video that could not be made of episodes that were played."""

    def __init__(self, message: str, evaluation: Evaluation) -> None:
        super().__init__(message)
        self.evaluation = evaluation
        """What was played."""


class VideoRecorder:
    """A video that an evaluation is to leave at `path`, of its first `episodes` episodes. Raises
    `UsageError` where none can be made, before anything is played."""

    def __init__(self, path: str | Path, source: EnvSource | DeviceEnv, *, episodes: int) -> None:
        self.path, self.episodes = Path(path), episodes
        if self.path.suffix != ".mp4":
            raise UsageError(
                f"{path} ends in {self.path.suffix or 'nothing'!r}; accepted for a video is .mp4"
            )
        check_new_file(path, purpose="the video")
        find_ffmpeg()
        self._renderer = Renderer(source)
        self._source = source
        #: Frames that were written.
        self.frames = 0

    @property
    def fps(self) -> float:
        """Frames a second: the environment's own."""
        return self._renderer.fps

    def evaluate(
        self,
        actor: Actor,
        env: HostEnv | DeviceEnv,
        *,
        episodes: int,
        seed: int,
        max_steps: int = MAX_EPISODE_STEPS,
    ) -> Evaluation:
        """`evaluation.evaluate`, filmed. Of an environment on the device, the video shows episodes
        of Gymnasium's on the host. Raises `UsageError` if the video cannot be made; once all is
        played, one that has the evaluation, `UnfilmedError`."""
        if not 1 <= self.episodes <= episodes:
            raise UsageError(
                f"video episodes is {self.episodes}; accepted is an integer from 1 to the number "
                f"of episodes, {episodes}"
            )
        if isinstance(env, DeviceEnv):
            result = evaluate(actor, env, episodes=episodes, seed=seed)
            actions = ActionLog(1, episodes=self.episodes, filmed=self.episodes)
            with contextlib.closing(make_host(env.name, 1)) as host:
                for step in play_on_host(actor, host, episodes=self.episodes, seed=seed):
                    actions.add(step)
        else:
            actions = ActionLog(env.num_envs, episodes=episodes, filmed=self.episodes)
            result = evaluate(
                actor, env, episodes=episodes, seed=seed, max_steps=max_steps, watch=actions.add
            )
        try:
            self._write(actions, seed)
        except OSError as error:
            raise UnfilmedError(
                f"{self.path} cannot be made: {error.strerror}; pass another path", result
            ) from None
        except UsageError as error:
            raise UnfilmedError(str(error), result) from None
        return result

    def _write(self, actions: ActionLog, seed: int) -> None:
        with (
            beside(self.path) as part,
            Encoder(part, self._renderer.first, fps=self.fps) as encoder,
        ):
            for frame in self._resimulated(actions, seed):
                if frame.shape != encoder.shape:
                    raise UsageError(
                        f"{self._renderer.name} draws frames of {frame.shape} after some of "
                        f"{encoder.shape}; accepted for a video is one size"
                    )
                encoder.write(frame)
            self.frames = encoder.frames

    def _resimulated(self, actions: ActionLog, seed: int) -> Iterator[np.ndarray]:
        for i, episodes in enumerate(actions.episodes):
            for number, episode in enumerate(episodes):
                self._renderer.reset(seed + i if number == 0 else None)
                yield self._renderer.frame()
                for step in episode:
                    reward = self._renderer.step(step.action)
                    if not np.array_equal(reward, step.reward, equal_nan=True):
                        raise UsageError(
                            f"{self._renderer.name} earns {reward:g} where it earned "
                            f"{step.reward:g} with the same seed and actions: accepted for a video "
                            "is an environment whose randomness all comes from its seed"
                        )
                    yield self._renderer.frame()

    def __enter__(self) -> VideoRecorder:
        return self

    def __exit__(self, *_: object) -> None:
        self._renderer.close()

"""`Agent`: a trained policy with everything that acting needs — the normalizer, the spaces, the
action map — that predicts, is evaluated, saved and loaded."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from gymnasium import spaces

from surefoot.agents import agent_file
from surefoot.agents.demonstrations import Demonstrations, record
from surefoot.agents.history import History
from surefoot.agents.playing.episodes import Actor, act, as_actions, opened
from surefoot.agents.playing.evaluation import Evaluation, cut_episodes, evaluate
from surefoot.agents.playing.handed_in import read, read_state
from surefoot.agents.playing.policy_spec import EnvLike, PolicySpec, unknown_environment
from surefoot.agents.video import VideoRecorder, open_window
from surefoot.common import jax_setup
from surefoot.common.errors import Notice, UsageError
from surefoot.common.fields import plain
from surefoot.common.files.json_reading import integer
from surefoot.common.parameters import check_flag, check_integer, check_path, check_seed
from surefoot.common.settings import MAX_EPISODE_STEPS
from surefoot.core.data.normalization import Normalizer, offset_of
from surefoot.core.networks import Policy
from surefoot.core.networks.architecture import MakeNetwork
from surefoot.envs.device.device_env import DeviceEnv
from surefoot.envs.host.host_env import HostEnv
from surefoot.envs.make import check_source
from surefoot.envs.spaces.space_text import space_text


class Agent:
    """A policy and all that acting needs.

    `environment` is what `evaluate` plays on by default; `provenance` says how the agent came to be
    (algorithm, hyperparameters, versions) and is kept in the manifest as it is. An agent can be
    pickled if its environment can: it may go to a process that is spawned.
    """

    def __init__(
        self,
        policy: Policy,
        normalizer: Normalizer,
        spec: PolicySpec,
        *,
        environment: EnvLike | None = None,
        provenance: dict[str, Any] | None = None,
    ) -> None:
        self.policy = policy
        self.normalizer = normalizer
        self.spec = spec
        self.environment = environment
        self.provenance = plain(provenance or {})
        #: The folder of the run that made the agent, if there is one.
        self.run: Path | None = None
        self._history: History | Callable[[], History] | None = None
        self._to_env = spec.to_environment()
        self._act = eqx.filter_jit(act)
        self._samples = 0
        # What is compiled: a forked process can use it, and cannot compile.
        self._acted: set[tuple[bool, int]] = set()

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: all but what is made of the rest."""
        return {k: v for k, v in vars(self).items() if k not in ("_act", "_acted", "_to_env")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        jax_setup.configure_before_compute()
        vars(self).update(state)
        self._to_env = self.spec.to_environment()
        self._act = eqx.filter_jit(act)
        self._acted = set()

    def __repr__(self) -> str:
        told, kinds = self.provenance, map(space_text, (self.observation_space, self.action_space))
        text = " → ".join(kinds)
        made = [repr(told[key]) for key in ("algorithm", "environment") if key in told]
        if made:
            text = f"{' on '.join(made)}, {text}"
        steps = integer(told.get("trained_steps"))
        if steps is not None:
            text += f", trained for {steps:,} steps"
        return f"<Agent: {text}>"

    @property
    def observation_space(self) -> spaces.Space:
        return self.spec.observation_space

    @property
    def action_space(self) -> spaces.Space:
        return self.spec.action_space

    def attach_run(self, folder: Path | None, history: History | Callable[[], History]) -> None:
        """Know the run that made the agent: its folder, if there is one, and its metrics, or what
        reads them."""
        self.run = folder and folder.absolute()
        self._history = history

    @property
    def history(self) -> History:
        """The metrics of the run that made the agent, a column a number: read when it is first
        asked for. Raises `UsageError` where they are not known."""
        if self._history is None:
            raise UsageError(
                "this agent knows no history; accepted is one that train or resume returned, or "
                "load read from a run's folder"
            )
        if not isinstance(self._history, History):
            self._history = self._history()
        return self._history

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
        action_masks: Any = None,
    ) -> tuple[np.ndarray, Any]:
        """(action, state) for one observation or a batch, with the signature that
        Stable-Baselines3's tools call. The action is what the environment takes; sampled ones
        follow a fixed sequence, from the agent's first call on. The `state` of a policy with memory
        goes in again with the next observation; `None` is an episode's start, and so is any where
        `episode_start` is true. `action_masks` says which actions are valid, where the observation
        does not. Raises `UsageError` for what is no observation of the agent's space, nor a batch
        of them, and for a state or masks that do not fit."""
        given = read(self.spec, self.normalizer, observation, action_masks)
        starts, memory = read_state(self.policy, state, episode_start, given.number)
        program = check_flag("deterministic", deterministic), given.number
        if program not in self._acted:
            jax_setup.check_forked()
            self._acted.add(program)
        self._samples += 1
        key = jax.random.fold_in(jax.random.key(0), self._samples)
        drawn, memory = self._actor(deterministic).act(given.obs, starts, memory, key)
        action = given.unbatched(as_actions(self.action_space, drawn))
        return action, jax.tree.map(np.asarray, memory)

    def evaluate(
        self,
        episodes: int = 20,
        seed: int = 1,
        *,
        env: EnvLike | None = None,
        deterministic: bool = True,
        max_episode_steps: int = MAX_EPISODE_STEPS,
        video: str | Path | None = None,
        video_episodes: int = 1,
        render: bool = False,
    ) -> Evaluation:
        """Returns and lengths of whole episodes on what the agent was trained on, or on `env`.
        Environments are made anew, but a vector environment is reset and used. An episode on the
        host that has not ended after `max_episode_steps` steps is cut there, which a warning says;
        of a vector environment it is a `UsageError`.

        `video` is a new .mp4 file that shows the first `video_episodes` of them, one after another,
        at the environment's own frame rate; results are the same with and without it. It needs
        an environment that Gymnasium can make with `render_mode="rgb_array"` (of a callable: that
        is made so), and `pip install 'surefoot[video]'`. Where it is refused after the episodes
        were played, the `UsageError` has their `evaluation`.

        `render` shows them in a window while they are played, one after another in one environment,
        at the speed that the environment is watched at. It needs a display.
        """
        actor = self._actor(check_flag("deterministic", deterministic))
        seed, most = check_seed(seed), max_episode_steps
        episodes = check_integer("episodes", episodes, 1)
        video_episodes = check_integer("video_episodes", video_episodes, 1)
        with contextlib.ExitStack() as closing:
            play: Callable[..., Evaluation] = evaluate
            copies, source = episodes, env
            if render and video is not None:
                raise UsageError("render and video; accepted is one of them")
            if render:
                window = open_window(self._source(env))
                closing.callback(window.close)
                copies, source = min(episodes, 1), lambda: window
            elif video is not None:
                film = VideoRecorder(
                    check_path("video", video), self._source(env), episodes=video_episodes
                )
                play = closing.enter_context(film).evaluate
            where = closing.enter_context(self.opened(source, copies, max_steps=most))
            result = play(actor, where, episodes=episodes, seed=seed, max_steps=most)
        if result.cut:
            warnings.warn(cut_episodes(result.cut, episodes, most), Notice, stacklevel=2)
        return result

    def record(
        self,
        episodes: int = 20,
        seed: int = 1,
        *,
        env: EnvLike | None = None,
        deterministic: bool = True,
        max_episode_steps: int = MAX_EPISODE_STEPS,
    ) -> Demonstrations:
        """The transitions of the episodes that `evaluate` plays with the same arguments."""
        actor = self._actor(check_flag("deterministic", deterministic))
        seed, most = check_seed(seed), max_episode_steps
        episodes = check_integer("episodes", episodes, 1)
        with self.opened(env, episodes, max_steps=most) as where:
            return record(actor, where, episodes=episodes, seed=seed, max_steps=most)

    def _actor(self, deterministic: bool) -> Actor:
        parts = self.policy, self.normalizer, self._to_env
        return Actor.of(*parts, deterministic=deterministic, acting=self._act)

    def opened(
        self, env: EnvLike | None, episodes: int, *, max_steps: int | None = None
    ) -> AbstractContextManager[HostEnv | DeviceEnv]:
        """What `episodes` episodes of this agent, of at most `max_steps` steps, are played on, for
        a `with` statement. Raises `UsageError` if there is nothing, or it has other spaces."""
        jax_setup.check_forked()
        if max_steps is not None:
            max_steps = check_integer("max_episode_steps", max_steps, 1)
        return opened(
            self._source(env),
            self.observation_space,
            self.action_space,
            episodes=check_integer("episodes", episodes, 1),
            max_steps=max_steps,
            offset=offset_of(self.normalizer),
            masks=self.spec.action_masks,
        )

    def _source(self, env: EnvLike | None) -> EnvLike:
        source = self.environment if env is None else env
        if source is None:
            raise UsageError(f"this agent {unknown_environment(self.provenance)}")
        check_source(source)
        return self.spec.source(source)

    def save(self, path: str | Path) -> None:
        """Write the agent to a folder (safetensors, JSON). Raises `UsageError` if it cannot be."""
        agent_file.save(self, check_path("path", path))

    def write(self, path: Path) -> None:
        """`save`, with the `OSError` of a full disk."""
        agent_file.write(self, path)

    @classmethod
    def load(cls, path: str | Path, *, network: MakeNetwork | None = None) -> Agent:
        """Read an agent that `save` wrote; `network` makes its network, if that is one of the
        user's own. Raises `UsageError` if the folder holds none."""
        jax_setup.check_backend()
        policy, normalizer, spec, environment, provenance = agent_file.read(
            check_path("path", path), network
        )
        return cls(policy, normalizer, spec, environment=environment, provenance=provenance)

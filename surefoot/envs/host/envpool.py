"""EnvPool: environments in C++ that step on threads of their own (Weng et al. 2022).

Its seeds are given when a pool is made, so a reset with a seed makes a new pool. Its auto-reset is
NEXT_STEP. Where an episode terminates in the very step of its time limit, EnvPool tells only the
truncation.
"""

from __future__ import annotations

import contextlib
import importlib.util
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from surefoot.common.errors import UsageError, closest
from surefoot.envs.host.atari import PREFIX, Preprocessing, has_games
from surefoot.envs.host.episode_history import History
from surefoot.envs.host.host_env import HostEnv
from surefoot.envs.host.stagger import first_limit
from surefoot.envs.host.stepper import Resimulated, Stepped


class Pool:
    """All environments of one pool, which step from the moment they are asked to. `options` are
    those of EnvPool's environment. First episodes are cut within `time_limit` steps, unless that is
    `None`. With `lives`, a lost life ends an episode for learning."""

    def __init__(
        self,
        env_id: str,
        num_envs: int,
        threads: int,
        time_limit: int | None = None,
        *,
        options: dict[str, Any] | None = None,
        lives: bool = False,
    ) -> None:
        self._env_id, self._num_envs = env_id, num_envs
        self._options = {"num_threads": threads, **(options or {})}
        self._time_limit = time_limit
        #: Of each environment after its last step; 0 where that is not known, and none can be lost.
        self._lives = np.zeros(num_envs, int) if lives else None
        self._pool: Any = None
        self._steps = 0
        #: The step at which each environment's first episode is cut; −1 once that is over.
        self._first_limit = np.full(num_envs, -1)

    def reset(self, seed: int | None) -> Any:
        import envpool

        if seed is None and self._pool is None:
            seed = int(np.random.default_rng().integers(2**31))
        if seed is not None:
            self.close()
            seeds = [(seed + i) % 2**31 for i in range(self._num_envs)]
            self._pool = envpool.make_gymnasium(
                self._env_id, num_envs=self._num_envs, seed=seeds, **self._options
            )
            if self._time_limit is not None:
                self._first_limit = np.array([first_limit(s, self._time_limit) for s in seeds])
        else:
            self._first_limit = np.full(self._num_envs, -1)
        self._steps = 0
        if self._lives is not None:
            self._lives = np.zeros(self._num_envs, int)
        with _quiet():
            return self._pool.reset()[0]

    def send(self, action: np.ndarray) -> None:
        self._pool.send(action)

    def recv(self) -> Stepped:
        stepped = self._with_lives(Stepped(*self._pool.recv()))
        self._steps += 1
        waiting = self._first_limit >= 0
        if not waiting.any():
            return stepped
        goes_on = waiting & ~(stepped.terminated | stepped.truncated)
        staggered = goes_on & (self._first_limit == self._steps)
        self._first_limit[~goes_on | staggered] = -1
        return self._cut(stepped, staggered) if staggered.any() else stepped

    def _with_lives(self, stepped: Stepped) -> Stepped:
        """The step, with where a life was lost. A reset gives lives, and loses none."""
        if self._lives is None:
            return stepped
        lives, done = stepped.info["lives"], stepped.terminated | stepped.truncated
        lost = (lives > 0) & (lives < self._lives) & ~done
        self._lives = np.where(done, 0, lives)
        return stepped._replace(life_lost=lost)

    def _cut(self, stepped: Stepped, staggered: np.ndarray) -> Stepped:
        """The step, with these environments reset, as if their episodes had been truncated."""
        which = np.flatnonzero(staggered).tolist()
        with _quiet():
            fresh = self._pool.reset(np.array(which, np.int32))[0]
        final = np.empty(self._num_envs, object)
        for i in which:
            final[i] = _row(stepped.obs, i)
        return stepped._replace(
            obs=_with_rows(stepped.obs, which, fresh),
            truncated=stepped.truncated | staggered,
            info={"final_obs": final},
            staggered=staggered,
        )

    def mark(self) -> None:
        return None

    def resimulate(self, histories: Sequence[History]) -> Resimulated:
        raise NotImplementedError("EnvPool cannot set a generator's state")

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def make_pool(
    env_id: str,
    num_envs: int,
    *,
    threads: int,
    stagger: bool = False,
    game: Preprocessing | None = None,
) -> HostEnv:
    """`num_envs` environments on `threads` threads; 0 takes as many as there are cores. With
    `stagger`, first episodes are cut. `game` is what becomes of the frames of an Atari game, whose
    id is Gymnasium's."""
    if importlib.util.find_spec("envpool") is None:
        raise UsageError(
            "backend 'envpool' needs the package 'envpool': pip install 'surefoot[envpool]'"
        )
    import envpool

    known = envpool.list_all_envs()
    pool_id = env_id if game is None else env_id.removeprefix(PREFIX)
    if pool_id not in known:
        raise UsageError(
            f"environment {env_id!r} is none of EnvPool's {len(known)}: pass one of "
            f"envpool.list_all_envs(), or --backend host.{closest(env_id, known)}"
        )
    if env_id not in gymnasium.registry:
        raise UsageError(
            f"environment {env_id!r} is EnvPool's alone, and a trained agent plays on Gymnasium's: "
            f"pass an id that both know{_game_hint(env_id)}"
        )
    options = {} if game is None else game.of_pool()
    spec = envpool.make_spec(pool_id, **options)
    with _quiet():
        observation_space = spec.gymnasium_observation_space
        action_space = _single(spec.gymnasium_action_space)
    # Games are out of phase after a while, and far shorter than their limit.
    limit = _time_limit(spec) if stagger and game is None else None
    lives = game is not None and game.terminal_on_life_loss
    return HostEnv(
        Pool(pool_id, num_envs, threads, limit, options=options, lives=lives),
        name=env_id,
        num_envs=num_envs,
        observation_space=observation_space,
        action_space=action_space,
        autoreset=AutoresetMode.NEXT_STEP,
        lives=lives,
    )


def _game_hint(env_id: str) -> str:
    """What an Atari game needs to be Gymnasium's, too."""
    import envpool

    if "Atari" not in type(envpool.make_spec(env_id)).__name__ or has_games():
        return ""
    return f"; {PREFIX}{env_id} is one after pip install 'surefoot[atari]'"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """EnvPool makes Gymnasium's boxes of float64 bounds when they are first asked for, and
    Gymnasium remarks on it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*precision lowered by casting", UserWarning)
        yield


def _time_limit(spec: Any) -> int | None:
    limit = getattr(spec.config, "max_episode_steps", None)
    return int(limit) if limit is not None and limit > 0 else None


def _row(obs: Any, i: int) -> Any:
    """The observation of environment i."""
    if isinstance(obs, dict):
        return {name: _row(part, i) for name, part in obs.items()}
    return obs[i].copy()


def _with_rows(obs: Any, which: list[int], rows: Any) -> Any:
    """A copy of the observations, with those of some environments replaced."""
    if isinstance(obs, dict):
        return {name: _with_rows(part, which, rows[name]) for name, part in obs.items()}
    obs = obs.copy()
    obs[which] = rows
    return obs


def _single(space: spaces.Space) -> spaces.Space:
    """Gymnasium's action space: EnvPool's boxes are of float64, and take any float."""
    if isinstance(space, spaces.Box) and space.dtype == np.float64:
        low, high = (bound.astype(np.float32) for bound in (space.low, space.high))
        return spaces.Box(low, high, dtype=np.float32)
    return space

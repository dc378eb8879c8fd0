"""A running episode as what made it: the generator before its reset, and the actions since.

An environment's inner state cannot be kept without knowing the environment, but it can be reached
again: `EpisodeHistoryWrapper` keeps the recipe while it steps, and `resimulate` follows it. An
episode may never end, so that only so many actions are kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from surefoot.common.fields import plain
from surefoot.envs.checking.first_steps import (
    CHECKED,
    check_made,
    checked_reset,
    checked_step,
)
from surefoot.envs.host.atari import game_of, in_text
from surefoot.envs.host.stagger import first_limit, time_limit
from surefoot.envs.spaces.trees import empty_of, length_of, map_arrays

#: Steps of an episode that are kept, at most: more than those of an episode of Atari.
MAX_KEPT = 2**15


class History(NamedTuple):
    """What the running episode is made of."""

    seed: int | None
    """The seed that its reset was called with."""
    generator: dict[str, Any] | None
    """State of the environment's generator before a reset without a seed; plain numbers."""
    actions: Any
    """Those taken since the reset, [L, *action], as the environment received them, or a tree of
    such arrays; `None` where they are more than `MAX_KEPT`."""
    now: dict[str, Any] | None
    """The generator's state after the last one."""


class Piece(NamedTuple):
    """What is new of a running episode."""

    episode: Any
    """Which one it is; another one has another value."""
    seed: int | None
    generator: Any
    start: int
    """Steps of it that were known."""
    actions: Any
    """Those after them; `None` where the episode is too long to be kept."""
    now: Any


class Kept(NamedTuple):
    """A running episode as it was told in pieces. It stays what it is when more is told."""

    episode: Any = None
    seed: int | None = None
    generator: Any = None
    chunks: tuple[Any, ...] | None = ()
    now: Any = None

    @property
    def length(self) -> int:
        """Steps that are known."""
        return sum(map(length_of, self.chunks or ()))

    def with_piece(self, piece: Piece) -> Kept:
        """What is known with the piece."""
        before, chunks = self.chunks if piece.start else (), None
        if piece.actions is not None and before is not None:
            chunks = (*before, piece.actions)
        return Kept(piece.episode, piece.seed, piece.generator, chunks, piece.now)

    def history(self) -> History:
        """The episode."""
        actions = None
        if self.chunks is not None:
            actions = map_arrays(lambda *chunks: np.concatenate(chunks), *self.chunks)
        return History(self.seed, _plain(self.generator), actions, _plain(self.now))


def _plain(state: Any) -> Any:
    """A generator's state as JSON can have it."""
    return plain(in_text(state))


def _room(action: Any) -> np.ndarray:
    first = np.asarray(action)
    return np.empty((64, *first.shape), first.dtype)


def _doubled(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, np.empty_like(rows)])


class EpisodeHistoryWrapper(gymnasium.Wrapper):
    """An environment that can tell its running episode and play it again. Playing it again leads to
    the same place if all randomness comes from `np_random`, as Gymnasium asks of environments, or
    is that of an `AtariGame`. What its first steps return is checked. Episodes are truncated after
    `max_steps` steps, if that is given.

    With `stagger`, an episode that began by a reset with a seed, a run's first one, is truncated at
    the step that `first_limit` draws of this seed, where the environment's time limit is known;
    `staggered` then says so until the next step. `life_lost` says whether a life was lost in the
    last step that ends an episode for learning, `cost` what it cost, if the environment says."""

    def __init__(
        self, env: gymnasium.Env, *, max_steps: int | None = None, stagger: bool = False
    ) -> None:
        check_made(env)
        super().__init__(env)
        self.staggered = self.life_lost = False
        self.cost: Any = None
        self._game = game_of(env)
        self._time_limit = time_limit(env) if stagger else None
        self._first_limit: int | None = None
        self._seed: int | None = None
        self._generator: Any = None
        self._actions: Any = None
        self._length = 0
        self._episode = 0
        self._max_steps = max_steps
        self._to_check = CHECKED

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self._episode += 1
        # What was marked of the episode before stays what it was.
        self._seed, self._length, self._actions = seed, 0, None
        self._first_limit = None
        if seed is not None and self._time_limit is not None:
            self._first_limit = first_limit(seed, self._time_limit)
        self._generator = None if seed is not None else self._raw_state()
        if self._to_check:
            return checked_reset(self.env, seed=seed, options=options)
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        if self._length < MAX_KEPT:
            self._keep(action)
        elif self._length == MAX_KEPT:
            self._actions = None
        self._length += 1
        if self._to_check:
            self._to_check -= 1
            result = checked_step(self.env, action)
        else:
            result = self.env.step(action)
        obs, reward, terminated, truncated, info = result
        self.cost = info.get("cost") if isinstance(info, dict) else None
        if self._game is not None:
            self.life_lost = self._game.life_lost
        goes_on = not (terminated or truncated)
        self.staggered = goes_on and self._length == self._first_limit
        over = self._max_steps is not None and self._length >= self._max_steps
        if self.staggered or (goes_on and over):
            return obs, reward, terminated, True, info
        return result

    def _keep(self, action: Any) -> None:
        """Copy the action: whoever steps many environments may hand out views of one array."""
        kept, length = self._actions, self._length
        # Most actions are one array, and this is done for every step.
        if isinstance(kept, np.ndarray) and length < len(kept):
            kept[length] = action
            return
        if kept is None:
            kept = self._actions = map_arrays(_room, action)
        elif length == length_of(kept):
            kept = self._actions = map_arrays(_doubled, kept)
        map_arrays(lambda rows, one: rows.__setitem__(length, one), kept, action)

    def mark(self) -> Callable[[], History]:
        """Remember where the running episode stands, at next to no cost: what is returned tells it,
        also later. Kept actions are never written over."""
        seed, generator, kept, length = self._seed, self._generator, self._actions, self._length
        now = self._raw_state()

        def history() -> History:
            actions: Any = None
            if length == 0:
                actions = empty_of(self.action_space)
            elif length <= MAX_KEPT:
                assert kept is not None
                actions = map_arrays(lambda rows: rows[:length].copy(), kept)
            return History(seed, _plain(generator), actions, _plain(now))

        return history

    def since(self, episode: Any, length: int) -> Piece:
        """What of the running episode whoever knows the first `length` steps of `episode` lacks."""
        which = os.getpid(), self._episode
        start = length if episode == which else 0
        actions: Any = None
        if self._length <= MAX_KEPT:
            actions = map_arrays(lambda rows: rows[start:], self.mark()().actions)
        return Piece(which, self._seed, self._generator, start, actions, self._raw_state())

    def resimulate(self, history: History) -> tuple[Any, float, bool]:
        """Play the episode again: the last observation, the episode's return so far, and whether
        the generator came to where it was. An episode that ends on the way is not the same."""
        assert history.actions is not None, "the episode was not kept"
        if history.generator is not None:
            self._set_raw_state(history.generator)
        obs, _ = self.reset(seed=history.seed)
        earned, ended = 0.0, False
        for i in range(length_of(history.actions)):
            if ended:
                return obs, earned, False
            # Discrete actions go in as they came: as a NumPy scalar. Of others a copy: the history
            # may not be writable, and an environment may write to what it is given.
            action = map_arrays(lambda rows, i=i: rows[i].copy(), history.actions)
            obs, reward, terminated, truncated, _ = self.step(action)
            earned, ended = earned + float(reward), bool(terminated or truncated)
        return obs, earned, not ended and _plain(self._raw_state()) == history.now

    def _raw_state(self) -> Any:
        """The generator's; `None` for one that is not NumPy's: resimulating then starts an episode
        of its own, which the last observation tells."""
        if self._game is not None:
            return self._game.random_state()
        generator = getattr(self.unwrapped.np_random, "bit_generator", None)
        return None if generator is None else generator.state

    def _set_raw_state(self, state: Any) -> None:
        if self._game is not None:
            self._game.set_random_state(state)
        else:
            self.unwrapped.np_random.bit_generator.state = state

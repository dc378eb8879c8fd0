"""Groups of environments as a snapshot, and back.

It has what the next actions answer to, the running episodes' totals, and, where environments can
tell them, the episodes themselves. Environments that cannot, or that do not come back to where they
were, begin episodes anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from surefoot.common.arrays import Snapshot, from_named_arrays, to_named_arrays
from surefoot.common.errors import UsageError
from surefoot.envs.host.episode_history import MAX_KEPT, History
from surefoot.envs.host.host_env import HostEnv
from surefoot.envs.spaces.trees import empty_of
from surefoot.training.rollout.group_state import GroupState, fresh_episodes, no_memory


def mark_groups(groups: Sequence[HostEnv], states: Sequence[GroupState]) -> Callable[[], Snapshot]:
    """Remember where these groups stand, at next to no cost: what is returned makes a snapshot of
    it, until the next mark. Its metadata say how each running episode began, "episodes", or `None`
    where that is not known, "too_long" because one was not kept to its end."""
    # A vector environment may overwrite its observations in place.
    states = [state._replace(obs=jax.tree.map(np.copy, state.obs)) for state in states]
    marks = [group.mark() for group in groups]
    return lambda: _snapshot(states, marks)


def _snapshot(
    states: Sequence[GroupState], marks: Sequence[Callable[[], list[History]] | None]
) -> Snapshot:
    arrays: dict[str, np.ndarray] = {}
    episodes: list[dict[str, Any]] = []
    known, too_long = True, False
    for g, (state, mark) in enumerate(zip(states, marks, strict=True)):
        arrays |= to_named_arrays(**{f"groups[{g}]": state})
        known &= mark is not None
        for history in () if mark is None else mark():
            if history.actions is None:
                known, too_long = False, True
                continue
            arrays |= to_named_arrays(**{f"actions[{len(episodes)}]": history.actions})
            episodes.append(
                {"seed": history.seed, "generator": history.generator, "now": history.now}
            )
    if known:
        return Snapshot(arrays, {"episodes": episodes})
    arrays = {name: value for name, value in arrays.items() if not name.startswith("actions[")}
    return Snapshot(arrays, {"episodes": None, "too_long": too_long})


def _group_state(
    group: HostEnv,
    arrays: Mapping[str, np.ndarray],
    prefix: str,
    initial: Callable[[int], Any],
) -> GroupState:
    earned, played = (arrays[prefix + name] for name in ("episode_return", "episode_length"))
    count = len(played)
    if count != group.num_envs:
        raise UsageError(
            f"the checkpoint is of {count} environments and these are {group.num_envs}: pass those "
            "of the run"
        )
    named = {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith((prefix + "obs", prefix + "memory"))
    }
    obs = jax.eval_shape(lambda: group.encoding.blank((count,)))
    trees = from_named_arrays(named, obs=obs, memory=initial(count))
    seen, lived = jax.tree.map(np.asarray, trees["obs"]), arrays.get(prefix + "life_length")
    return GroupState(seen, earned, played, trees["memory"], lived)


def _actions(group: HostEnv, arrays: Mapping[str, np.ndarray], number: int) -> Any:
    """Those of an episode, as `to_named_arrays` named them."""
    blank = empty_of(group.action_space)
    leaves, structure = jax.tree_util.tree_flatten_with_path(blank)
    names = [f"actions[{number}]{jax.tree_util.keystr(path)}" for path, _ in leaves]
    return jax.tree.unflatten(structure, [arrays[name] for name in names])


def _equal(obs: Any, other: Any) -> np.ndarray:
    """Which observations are the same, [N]; a NaN is one that is a NaN."""

    def same(x: np.ndarray, y: np.ndarray) -> bool:
        return np.array_equal(x, y, equal_nan=x.dtype.kind == "f")

    pairs = zip(jax.tree.leaves(obs), jax.tree.leaves(other), strict=True)
    each = [[same(x, y) for x, y in zip(a, b, strict=True)] for a, b in pairs]
    return np.all(np.array(each), axis=0)


def restore_groups(
    groups: Sequence[HostEnv],
    saved: Snapshot,
    initial: Callable[[int], Any] = no_memory,
    *,
    seed: int,
) -> tuple[list[GroupState], str | None]:
    """(where the groups stand now, why that is not where they stood). They stand where they stood
    or, all of them, at the start of episodes of this seed. `initial` makes the memory of so many
    environments. Raises `UsageError` where what was saved is of other environments."""
    arrays, episodes = saved.arrays, saved.metadata["episodes"]
    states = [
        _group_state(group, arrays, f"groups[{g}].", initial) for g, group in enumerate(groups)
    ]
    if episodes is None:
        why = "its environments cannot be put back where they were"
        if saved.metadata.get("too_long"):
            why = f"an episode was longer than {MAX_KEPT:,} steps"
        return fresh_episodes(groups, seed, initial), why
    histories = [
        History(begun["seed"], begun["generator"], _actions(groups[0], arrays, i), begun["now"])
        for i, begun in enumerate(episodes)
    ]
    # A seeded reset before, as every run has one: some environments build themselves in it.
    fresh_episodes(groups, seed, initial)
    for group, state in zip(groups, states, strict=True):
        its, histories = histories[: group.num_envs], histories[group.num_envs :]
        obs, earned, same = group.resimulate(its)
        seen = _equal(obs, state.obs)
        # The sum was rounded elsewhere, by batches.
        paid = np.isclose(earned, state.episode_return, rtol=1e-9, atol=1e-9, equal_nan=True)
        same = same & seen & paid
        if not same.all():
            reason = (
                f"environment {int(np.argmin(same))} of {group.name} did not come back to where it "
                "was: it does not depend on np_random and its episode's actions alone"
            )
            return fresh_episodes(groups, seed, initial), reason
    return states, None

"""Where groups of environments stand, as something that can be kept, and back.

Kept are what the next actions answer to, the running episodes' totals, and, where environments can
tell them, the episodes themselves. Environments that cannot, or that do not come back to where they
were, begin episodes anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from surefoot.envs.host import HostEnv
from surefoot.envs.replay import History
from surefoot.named import Saved
from surefoot.rollout.host import GroupState, fresh_episodes


def save_groups(groups: Sequence[HostEnv], states: Sequence[GroupState]) -> Saved:
    """Where these groups stand. `facts` says how each running episode began, "episodes", or `None`
    where that is not known."""
    arrays: dict[str, np.ndarray] = {}
    episodes: list[dict[str, Any]] = []
    known = True
    for g, (group, state) in enumerate(zip(groups, states, strict=True)):
        arrays |= {f"groups[{g}].{name}": value for name, value in state._asdict().items()}
        histories = group.histories()
        known &= histories is not None
        for history in histories or ():
            arrays[f"actions[{len(episodes)}]"] = history.actions
            episodes.append({"seed": history.seed, "generator": history.generator})
    return Saved(arrays, {"episodes": episodes if known else None})


def restore_groups(
    groups: Sequence[HostEnv], saved: Saved, *, seed: int
) -> tuple[list[GroupState], str | None]:
    """(where the groups stand now, why that is not where they stood). They stand where they stood
    or, all of them, at the start of episodes of this seed. Raises `ValueError` where what was saved
    is of other environments."""
    arrays, episodes = dict(saved.arrays), saved.facts["episodes"]
    states = [
        GroupState(*(arrays.pop(f"groups[{g}].{name}") for name in GroupState._fields))
        for g in range(len(groups))
    ]
    for group, state in zip(groups, states, strict=True):
        if {len(x) for x in state} != {group.num_envs}:
            raise ValueError(f"{len(state.obs)} environments instead of {group.num_envs}")
    if episodes is None:
        return fresh_episodes(groups, seed), "its environments cannot be put back where they were"
    histories = [
        History(begun["seed"], begun["generator"], arrays.pop(f"actions[{i}]"))
        for i, begun in enumerate(episodes)
    ]
    if arrays:
        raise ValueError(f"arrays {sorted(arrays)} are unknown")
    # A seeded reset before, as every run has one: some environments build themselves in it.
    fresh_episodes(groups, seed)
    for group, state in zip(groups, states, strict=True):
        its, histories = histories[: group.num_envs], histories[group.num_envs :]
        same = np.all(group.replay(its) == state.obs, axis=-1)
        if not same.all():
            reason = (
                f"environment {int(np.argmin(same))} of {group.name} did not come back to where it "
                "was: not all of its randomness is np_random's"
            )
            return fresh_episodes(groups, seed), reason
    return states, None

"""Collecting a trajectory: environments and a policy in, what was seen and done out."""

from surefoot.rollout.device import device_rollout
from surefoot.rollout.host import GroupState, HostRollout, RolloutInfo
from surefoot.rollout.standing import restore_groups, save_groups
from surefoot.rollout.transitions import Episodes, Transitions, with_old

__all__ = [
    "Episodes",
    "GroupState",
    "HostRollout",
    "RolloutInfo",
    "Transitions",
    "device_rollout",
    "restore_groups",
    "save_groups",
    "with_old",
]

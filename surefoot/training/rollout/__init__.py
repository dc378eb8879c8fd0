"""Collecting a trajectory: environments and a policy in, what was seen and done out."""

from surefoot.training.rollout.device_rollout import DeviceStanding, device_rollout
from surefoot.training.rollout.environment_state import mark_groups, restore_groups
from surefoot.training.rollout.group_state import GroupState
from surefoot.training.rollout.host_rollout import HostRollout, RolloutInfo
from surefoot.training.rollout.transitions import Episodes, Transitions, with_old

__all__ = [
    "DeviceStanding",
    "Episodes",
    "GroupState",
    "HostRollout",
    "RolloutInfo",
    "Transitions",
    "device_rollout",
    "mark_groups",
    "restore_groups",
    "with_old",
]

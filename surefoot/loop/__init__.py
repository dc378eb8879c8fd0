"""The loop: collect, improve the policy, fit the critic, report.

No line of it knows which method runs. There are three, for environments on the host, environments
on the device, and recorded data. All yield the same `Iteration`s and stop before the budget of
steps would be exceeded.
"""

from surefoot.loop.device import device_iterations
from surefoot.loop.host import host_iterations
from surefoot.loop.iteration import Iteration, Seeds, Timing, merged
from surefoot.loop.recorded import recorded_iterations

__all__ = [
    "Iteration",
    "Seeds",
    "Timing",
    "device_iterations",
    "host_iterations",
    "merged",
    "recorded_iterations",
]

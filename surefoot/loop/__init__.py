"""The loop: collect, improve the policy, fit the critic, report.

No line of it knows which method runs. There are three, for environments on the host, environments
on the device, and recorded data. All yield the same `Iteration`s and stop before the budget of
steps would be exceeded.
"""

from surefoot.loop.device import device_iterations
from surefoot.loop.host import host_iterations
from surefoot.loop.iteration import (
    BEGINNING,
    Ask,
    Asking,
    Iteration,
    Seeds,
    Start,
    Timing,
    go_on,
    merged,
)
from surefoot.loop.recorded import recorded_iterations

__all__ = [
    "BEGINNING",
    "Ask",
    "Asking",
    "Iteration",
    "Seeds",
    "Start",
    "Timing",
    "device_iterations",
    "go_on",
    "host_iterations",
    "merged",
    "recorded_iterations",
]

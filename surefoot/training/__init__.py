"""The loop: collect, improve the policy, fit the critic, report.

No line of it knows which method runs. There are three, for environments on the host, environments
on the device, and offline data. All yield the same `Iteration`s and stop before the budget of steps
would be exceeded.
"""

"""Environments on the host, stepped in groups."""

from surefoot.envs.host.safe_velocity import register

register()

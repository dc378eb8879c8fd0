"""Environments on the host, stepped in groups."""

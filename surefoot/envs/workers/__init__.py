"""Environments in worker processes, which are restarted when they die or hang."""

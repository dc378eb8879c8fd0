"""Defects of an environment, found by playing it."""

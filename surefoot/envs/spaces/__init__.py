"""Observation and action spaces: how they are encoded, mapped and written."""

"""Limits on costs, exactly, on tables."""

"""Runs as numbers: their rows, columns and scores."""

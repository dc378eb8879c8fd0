"""Runs: trained, resumed and reproduced; their folders, loggers and displays."""

"""Runs that were begun earlier: built again, gone on with, or played again."""

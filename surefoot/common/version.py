"""The version of surefoot."""

__version__ = "0.1.0"

"""The formats of an exported policy."""

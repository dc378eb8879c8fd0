"""The model card beside an exported policy."""

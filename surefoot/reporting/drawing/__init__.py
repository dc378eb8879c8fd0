"""Figures and tables, and how they are drawn."""

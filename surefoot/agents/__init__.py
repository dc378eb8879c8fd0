"""Agents: policies that act. They play, are evaluated, recorded, filmed and exported."""

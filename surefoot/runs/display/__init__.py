"""A run on the terminal: while it trains, and while another process watches it."""

"""A run's folder: its files, and how they are found, read and compared."""

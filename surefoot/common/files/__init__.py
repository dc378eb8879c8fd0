"""Files that survive: written whole or not at all, read without trust, held by one process."""

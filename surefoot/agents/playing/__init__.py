"""Playing whole episodes with a policy."""

"""The theory on tables, computed exactly. Nothing here needs JAX."""

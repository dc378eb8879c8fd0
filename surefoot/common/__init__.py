"""The ground: errors, settings, arrays, files and the set-up of JAX. Nothing here knows what is
learned.
"""

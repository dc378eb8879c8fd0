"""A policy as one file that runs without surefoot, with a card that says what it is."""

"""Learners: what the loop runs.

`Algorithm` is policy optimization; `CrossEntropy` and `Cloning` are the two learners that are not.
"""

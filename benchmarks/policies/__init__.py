"""Tasks that a policy can do only with a memory, a mask, or actions of two kinds, and policies that
see pictures."""

"""Tasks that a policy can do only with what it is given: a memory, a mask, an action of two kinds."""

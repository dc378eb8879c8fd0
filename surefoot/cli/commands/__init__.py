"""The commands of the command line, one module each: what it accepts as a dataclass, and `main`,
which takes the arguments and returns the exit code. What computes is imported by `main` only, so
that help is immediate."""

"""Text from files as Markdown and YAML that say it and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def code(text: object) -> str:
    """A code span on one line, whatever the text."""
    line = " ".join(str(text).split())
    fence = "`" * (_longest_run(line) + 1)
    # Spaces, where a backtick would touch the fence; those of a table are escaped in code, too.
    pad = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{fence}{pad}{line}{pad}{fence}".replace("|", "\\|")


def block(text: str, language: str) -> str:
    """A fenced code block."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, cells as they are."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def quoted(text: str) -> str:
    """A YAML scalar."""
    return '"' + "".join(map(_character, text)) + '"'


def _character(c: str) -> str:
    if c in '"\\':
        return f"\\{c}"
    if " " <= c <= "~":
        return c
    return f"\\u{ord(c):04x}" if ord(c) <= 0xFFFF else f"\\U{ord(c):08x}"


def _longest_run(text: str) -> int:
    """Of backticks."""
    longest = run = 0
    for c in text:
        run = run + 1 if c == "`" else 0
        longest = max(longest, run)
    return longest

"""Options as the help of a command tells them: name, what is accepted, and default.

The words of the help are left out, and so are the titles of its boxes.
"""

from __future__ import annotations

import re
from typing import Any

from command import done

_TITLE = re.compile(r"^╭─ (.*?) ─+╮$")
_LINE = re.compile(r"^│ (.*) │$")
_DEFAULT = re.compile(r"\((?:default: (?P<default>.*)|(?P<required>required))\)$")


def helped(name: str) -> dict[str, Any]:
    """What `surefoot --help` says, or that of a command, or of `train-RECIPE`."""
    command = [] if name == "surefoot" else name.split("-", 1) if "train-" in name else [name]
    text = done(*command, "--help")
    return {"calls": calls(text), "options": options(text)}


def calls(text: str) -> list[str]:
    """The lines that show how commands are called, without what they are for."""
    shown = (r"^usage: (surefoot .*)", r"^  (surefoot .*?)(?:  .*)?$", r"^(algorithms: .*)")
    found = [re.match(pattern, line) for line in text.splitlines() for pattern in shown]
    return [match[1].strip() for match in found if match]


def options(text: str) -> dict[str, str | None]:
    """The options of a help in boxes, each with its default, `required` or none."""
    entries: list[list[str]] = []
    positional = False
    for line in text.splitlines():
        if title := _TITLE.match(line):
            positional = title[1].startswith("positional")
        elif content := _LINE.match(line):
            words = content[1].rstrip()
            if words.startswith(" "):
                entries[-1].append(words.strip())
            elif words.startswith("-") or positional:
                entries.append([words])
    found: dict[str, str | None] = {}
    for first, *more in entries:
        name, *said = re.split(r"\s{2,}", first, maxsplit=1)
        stated = _DEFAULT.search(" ".join([*said, *more]))
        found[name] = (stated["required"] or stated["default"].strip()) if stated else None
    return found

r"""Text of another hand as a terminal or a page can show it: names of folders, environments and
methods, and what files say.

A terminal obeys some characters, and others turn the order of a line around or are not to be seen.
They are shown as Python writes them, `\x1b` for instance. What there is a glyph for stays.
"""

from __future__ import annotations

import unicodedata

#: Characters of one message: the middle of a longer one is left out.
LONGEST = 10_000


def printable(text: str) -> str:
    """The text, lines and tabs as they are."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" else _shown(c) for c in text)


def one_line(text: str, *, most: int = LONGEST) -> str:
    """The text as one line, of about that many characters at most."""
    if len(text) > most:
        text = f"{text[: most // 2]} [...] {text[-(most // 2) :]}"
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    return ascii(character)[1:-1]

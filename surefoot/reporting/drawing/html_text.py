"""Text as HTML that says it and nothing else."""

from __future__ import annotations

import html

from surefoot.common.printable import printable


def escape(text: str) -> str:
    """The text as the content of an element, or of an attribute in quotes. What turns the order of
    a line around, or is not to be seen, is shown as Python writes it: a command that is copied is
    the one that is read."""
    return html.escape(printable(text))

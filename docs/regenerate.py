"""Write into the pages what is generated: `make pages`, or `python docs/regenerate.py`.

A page is read where it lies in the repository, so what the code or the README says stands in it,
between two comments:

    <!-- generated: NAME -->             what `generated.py` makes of the code
    <!-- include: FILE#HEADING -->       that section of another file, its links turned to here
    <!-- end -->

So is the table of diagnostics that the package reads (`diagnostics.py`). A test fails where a file
is not what this writes.
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import diagnostics  # noqa: E402  # They lie beside this file.
import generated  # noqa: E402

#: Pages with something generated.
PAGES = ("diagnostics.md", "hyperparameters.md", "measured.md", "recipes.md", "reference.md")

BLOCK = re.compile(
    r"^<!-- (generated|include): ([^#\n]+?)(?:#(.+?))? -->\n(.*?)^<!-- end -->$",
    re.MULTILINE | re.DOTALL,
)
FENCE = re.compile(r"^ *(```|~~~)")
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)(#[^)\s]*)?\)")


def fresh(page: Path) -> str:
    """The text that a page should have."""

    def filled(block: re.Match[str]) -> str:
        kind, name, heading, _ = block.groups()
        mark = f"{name}#{heading}" if heading else name
        if kind == "generated":
            text = generated.GENERATED[name]()
        else:
            text = included(page.parent / name, heading, page.parent)
        return f"<!-- {kind}: {mark} -->\n\n{text.strip()}\n\n<!-- end -->"

    return BLOCK.sub(filled, page.read_text(encoding="utf-8"))


def included(path: Path, heading: str | None, folder: Path) -> str:
    """A file, or the section of it below a heading, with its links as they are from a folder."""
    text = path.read_text(encoding="utf-8")
    if heading:
        text = section(text, heading)
    source, place = path.resolve().parent.as_posix(), folder.resolve().as_posix()

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(source, match[1]))
        return f"]({posixpath.relpath(target, place)}{match[2] or ''})"

    return outside_fences(text, lambda part: LINK.sub(link, part))


def section(text: str, heading: str) -> str:
    """From that heading to the next one of its level."""
    start = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    if not start:
        raise ValueError(f"there is no heading {heading!r}")
    end = re.search(rf"^#{{1,{len(start[1])}}} ", text[start.end() :], re.MULTILINE)
    return text[start.start() : start.end() + end.start() if end else None]


def outside_fences(text: str, change: Callable[[str], str]) -> str:
    """The text with every line that is no code changed."""
    parts, inside = [], False
    for line in text.splitlines(keepends=True):
        fence = FENCE.match(line)
        parts.append(line if inside or fence else change(line))
        inside ^= bool(fence)
    return "".join(parts)


def main() -> None:
    """Write the table of diagnostics and the pages, and name those that changed."""
    write(diagnostics.TABLE, diagnostics.text())
    for name in PAGES:
        page = ROOT / "docs" / name
        write(page, fresh(page))


def write(path: Path, text: str) -> None:
    """Replace a file, and say whether that changed it."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(text, encoding="utf-8")
    print(f"{path.relative_to(ROOT)}: {'as it was' if text == before else 'written'}")


if __name__ == "__main__":
    main()

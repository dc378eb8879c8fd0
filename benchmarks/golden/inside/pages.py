"""Reports: the text of the page, and the data of its figures."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from command import done

import surefoot as sf

#: The runs that are kept for the tests, which every later version must read.
KEPT = Path(__file__).parents[3] / "tests" / "golden"


def reported(name: str) -> dict[str, Any]:
    """The page of `one` kept run, or that of `several`, all of them."""
    kept = sorted(path.parent for path in KEPT.glob("*/config.json"))
    for run in kept:
        shutil.copytree(run, Path("runs") / run.name)
    return page_of(Path("runs") if name == "several" else Path("runs") / "host-1")


def page_of(runs: Path) -> dict[str, Any]:
    """What the page of a folder shows."""
    done("report", str(runs), "--out", "page.html")
    page = _Page()
    page.feed(Path("page.html").read_text(encoding="utf-8"))
    return {"text": [versionless(line) for line in page.text], "figures": page.figures}


def versionless(text: str) -> str:
    """The text without this version's number."""
    return text.replace(sf.__version__, "VERSION")


class _Page(HTMLParser):
    """The text between tags, and the JSON of figures by their names."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.figures: dict[str, Any] = {}
        self._figure: str | None = None
        self._hidden = False

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self._figure = given.get("id") if given.get("type") == "application/json" else None
        self._hidden = tag in ("script", "style")

    def handle_endtag(self, tag):
        self._figure, self._hidden = None, False

    def handle_data(self, data):
        if self._figure is not None:
            self.figures[self._figure] = json.loads(data)
        elif not self._hidden and data.strip():
            self.text.append(data.strip())

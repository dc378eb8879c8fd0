"""What mkdocs does to pages, beyond Markdown.

A page is written to be read where it lies in the repository: its links are those of files. On the
site a file outside `docs/` that a link leads to becomes a page, the reference is mkdocstrings', and
`<!-- include: FILE -->` becomes a file of the repository. What else is generated stands in the
pages already (`regenerate.py`).
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import generated  # noqa: E402  # They lie beside this file.
from regenerate import BLOCK, LINK, included, outside_fences  # noqa: E402

#: Files that have their place on the site under another name.
_PLACES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md"}

_INCLUDE = re.compile(r"^<!-- include: ([^#\n]+?) -->$", re.MULTILINE)

#: Files of the repository that are pages beside those in docs/, by their place on the site.
_outside: dict[str, str] = {}


def on_files(files: Files, config: Any) -> Files:
    """Add a page for every file outside docs/ that is linked to, from these pages, too."""
    _outside.clear()
    waiting = [
        (file.src_uri, Path(file.abs_src_path).read_text()) for file in files if _is_page(file)
    ]
    while waiting:
        uri, text = waiting.pop()
        before = set(_outside)
        _resolved(text, uri)
        for new in sorted(set(_outside) - before):
            content = _page_of(_outside[new])
            files.append(File.generated(config, new, content=content))
            waiting.append((new, content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Resolve a page's marks and links."""
    return _resolved(markdown, page.file.src_uri)


def on_post_page(output: str, **_: Any) -> str:
    """Take `worker.js` instead of the script that mkdocs' offline plugin fetches for the same."""
    above = re.search(r'(?:src|href)="([^"]*)assets/', output)
    place = f'src="{above[1] if above else ""}worker.js"'
    return re.sub(r'src="https://unpkg[^"]*"', place, output)


def on_post_template(output_content: str, **_: Any) -> str:
    """The same for what is no page."""
    return on_post_page(output_content)


def _is_page(file: File) -> bool:
    return file.src_uri.endswith(".md")


def _resolved(text: str, uri: str) -> str:
    source = _outside.get(uri, f"docs/{uri}")
    folder = source if (ROOT / source).is_dir() else posixpath.dirname(source)

    def of_site(block: re.Match[str]) -> str:
        kind, name, _, content = block.groups()
        if kind == "generated" and name == "reference":
            return generated.reference(site=True)
        return content.strip()

    def whole(mark: re.Match[str]) -> str:
        return included(ROOT / folder / mark[1], None, ROOT / folder)

    return _relinked(_INCLUDE.sub(whole, BLOCK.sub(of_site, text)), folder, uri)


def _relinked(text: str, folder: str, uri: str) -> str:
    """The text of a file in `folder`, with its links as the page `uri` of the site has them."""

    def link(match: re.Match[str]) -> str:
        target, anchor = match[1], match[2] or ""
        place = _place(posixpath.normpath(posixpath.join(folder, target)))
        return f"]({posixpath.relpath(place, posixpath.dirname(uri) or '.')}{anchor})"

    return outside_fences(text, lambda part: LINK.sub(link, part))


def _place(path: str) -> str:
    """Where a file of the repository is on the site."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path in _PLACES:
        return _PLACES[path]
    if (ROOT / path).is_dir():
        readme = f"{path}/README.md"
        place, path = f"{path}/index.md", readme if (ROOT / readme).is_file() else path
    else:
        place = path if path.endswith(".md") else f"{path}.md"
        place = place.replace("README.md", "index.md")
    _outside[place] = path
    return place


def _page_of(path: str) -> str:
    """A file or a folder of the repository as a page."""
    file = ROOT / path
    if file.is_dir():
        names = sorted(each.name for each in file.iterdir() if each.suffix in (".py", ".md"))
        return "\n".join([f"# {path}", "", *(f"- [{name}]({name})" for name in names)])
    if file.suffix == ".md":
        return file.read_text()
    language = {".py": "python", ".toml": "toml"}.get(file.suffix, "text")
    return f"# {path}\n\n````{language}\n{file.read_text()}````\n"

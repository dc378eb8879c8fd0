"""What is drawn again and again in one place: on a terminal, or in a cell of a notebook."""

from __future__ import annotations

import io
import sys
from typing import Any, Protocol

from rich.console import Console, RenderableType
from rich.live import Live

#: How a notebook shows text of a terminal.
_CELL = '<pre style="white-space:pre;overflow-x:auto;line-height:normal">{code}</pre>'


class Screen(Protocol):
    """A place for one thing to be seen."""

    def draw(self) -> None:
        """Show it as it is now."""

    def say(self, text: str) -> None:
        """Print a line above or below it."""

    def close(self, *, keep: bool) -> None:
        """Leave it there as it is now, or take it off."""


class TerminalScreen:
    """Lines of a terminal. What is printed meanwhile comes above them, if it goes to a terminal."""

    def __init__(self, console: Console, view: RenderableType) -> None:
        # What goes to a file, a line of the user's own for instance, is to get there.
        to_terminal = [_is_terminal(stream) for stream in (sys.stdout, sys.stderr)]
        self._live = Live(
            view,
            console=console,
            auto_refresh=False,
            redirect_stdout=to_terminal[0],
            redirect_stderr=to_terminal[1],
        )
        self._live.start(refresh=True)

    def draw(self) -> None:
        self._live.refresh()

    def say(self, text: str) -> None:
        self._live.console.print(text, soft_wrap=True, highlight=False, markup=False)

    def close(self, *, keep: bool) -> None:
        self._live.transient = not keep
        self._live.stop()


def _is_terminal(stream: Any) -> bool:
    return stream is not None and stream.isatty()


class NotebookScreen:
    """An output of a notebook's cell, which needs no widgets."""

    def __init__(self, console: Console, view: RenderableType) -> None:
        from IPython.display import display

        self._console, self._view = console, view
        self._handle: Any = display(self._bundle(), raw=True, display_id=True)

    def draw(self) -> None:
        self._handle.update(self._bundle(), raw=True)

    def say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)

    def close(self, *, keep: bool) -> None:
        if keep:
            self.draw()
        else:
            self._handle.update({"text/plain": ""}, raw=True)

    def _bundle(self) -> dict[str, str]:
        drawn = Console(
            file=io.StringIO(), record=True, width=100, force_jupyter=False, force_terminal=False
        )
        drawn.print(self._view)
        html = drawn.export_html(inline_styles=True, code_format=_CELL, clear=False)
        return {"text/plain": drawn.export_text().rstrip("\n"), "text/html": html}


def open_screen(console: Console, view: RenderableType) -> Screen:
    """What there is to draw on, with the view drawn."""
    return (NotebookScreen if console.is_jupyter else TerminalScreen)(console, view)

"""The pages of the documentation, played as a reader plays them: from top to bottom, in an empty
folder.

A fenced block says in its first line what it is. `python` blocks of a page are executed one after
the other in one namespace, `sh` blocks a command at a time, and a block with a `title` is written
to the file of that name first. The other languages of `SHOWN` are what a file or a terminal shows.
A block after a comment `<!-- not run: REASON -->` is left out.

So that a page takes seconds, no run takes more than `STEPS` environment steps (`scaled`). Commands
of surefoot run in this process. What installs, and what another test runs already, is checked
(`CHECKED`) but not run.
"""

import dataclasses
import re
import shlex
import textwrap
import tomllib
from pathlib import Path
from typing import NamedTuple

import surefoot as sf
from support.runs import BATCH, TINY
from surefoot.cli import main
from surefoot.methods.families.base import OnPolicy
from surefoot.runs.options import Options

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

#: Languages of blocks that are no code.
SHOWN = {"text", "json", "toml", "latex", "bibtex"}

#: Steps that a run on a page takes at most: five batches of most recipes.
STEPS = 10_240

#: Episodes of an evaluation on a page that is played with tiny runs.
EPISODES = 2


class Fence(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int
    """Number of its opening line, from 1."""
    language: str
    title: str | None
    """The file that it is, if it is one."""
    text: str
    reason: str | None
    """Why it is not run, if it is not."""

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def fences(page):
    """The fenced blocks of a page, in order."""
    lines = page.read_text().splitlines()
    found, start, before = [], None, ""
    for number, line in enumerate(lines, 1):
        mark = re.match(r"(\s*)(`{3,}|~{3,})\s*(.*)", line)
        if start is None and mark:
            start = number, mark
        elif start is not None and line.strip() == start[1][2]:
            first, opening = start
            text = textwrap.dedent("\n".join(lines[first : number - 1]))
            language, _, rest = opening[3].partition(" ")
            title = re.search(r'title="([^"]+)"', rest)
            reason = re.fullmatch(r"\s*<!-- not run: (.+) -->", before)
            found.append(
                Fence(page, first, language, title and title[1], text, reason and reason[1])
            )
            start, before = None, ""
        elif start is None and line.strip():
            before = line
    assert start is None, f"{page.name}:{start[0]}: the block does not end"
    return found


def scaled(monkeypatch, *, tiny=False):
    """From now on no run takes more than `STEPS` steps. With `tiny`, runs are of five batches of
    the shapes of `TINY`, and evaluations of at most `EPISODES` episodes."""
    run, evaluate = Options.run, sf.Agent.evaluate

    def short(self, env):
        limit, recipe, settings = STEPS, self.recipe, self.settings
        if tiny:
            settings = dataclasses.replace(settings, hidden=TINY["hidden"])
        # What learns from recorded data has no environments; a pass over the data is a batch.
        if tiny and isinstance(recipe, OnPolicy):
            shape = {name: value for name, value in TINY.items() if name != "hidden"}
            limit, recipe = 5 * BATCH, dataclasses.replace(recipe, **shape)
        settings = dataclasses.replace(settings, steps=min(settings.steps, limit))
        return run(self._replace(recipe=recipe, settings=settings), env)

    def few(agent, episodes=EPISODES, *args, **options):
        return evaluate(agent, min(episodes, EPISODES), *args, **options)

    monkeypatch.setattr(Options, "run", short)
    if tiny:
        monkeypatch.setattr(sf.Agent, "evaluate", few)


def play(page, folder):
    """Run a page's blocks in the working folder `folder`: the namespace that they leave."""
    names = {"__name__": "__page__"}
    for fence in fences(page):
        if fence.reason:
            continue
        if fence.title:
            (folder / fence.title).write_text(fence.text + "\n")
        if fence.language == "python":
            # Line numbers of a traceback are the page's.
            code = compile("\n" * fence.line + fence.text, str(page), "exec")
            exec(code, {"__name__": "__file__"} if fence.title else names)
        elif fence.language == "sh":
            for command in commands(fence.text):
                run(command, f"{fence}: {shlex.join(command)}")
        else:
            assert fence.language in SHOWN, f"{fence}: what is a block of {fence.language!r}?"
    return names


def commands(text):
    """The commands of a shell block, each as a list of words, without comments."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while "&&" in words:
            yield words[: words.index("&&")]
            words = words[words.index("&&") + 1 :]
        if words:
            yield words


def run(command, where):
    """Run a command of surefoot, and check any other one."""
    tool, *arguments = command
    if tool == "surefoot":
        code = 0
        try:
            code = main.main(arguments)
        except SystemExit as end:
            code = end.code
        assert code == 0, f"{where}: exit code {code}"
        return
    assert tool in CHECKED, f"{where}: no rule for {tool!r}"
    assert CHECKED[tool](arguments), f"{where}: there is no such thing"


def _project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _is_target(arguments):
    text = (ROOT / "Makefile").read_text()
    return all(re.search(rf"^{re.escape(target)}:", text, re.MULTILINE) for target in arguments)


def _is_installed_by_pip(arguments):
    if arguments[0] != "install":
        return False
    known = _project()["optional-dependencies"]
    named = {re.match(r"[\w-]+", one)[0] for extra in known.values() for one in extra}
    for word in arguments[1:]:
        if word in {"-e", "--upgrade", *named} - {"surefoot"}:
            continue
        match = re.fullmatch(r"(surefoot|\.)(?:\[([\w,]+)\])?", word)
        if not match or not set((match[2] or "").split(",")) - {""} <= set(known):
            return False
    return True


def _is_a_program(arguments):
    """A module of the repository, a page of the lecture, or a virtual environment's making."""
    if arguments[0] != "-m":
        return (ROOT / arguments[0]).is_file() and _has_options(
            [ROOT / arguments[0]], arguments[1:]
        )
    module, *rest = arguments[1:]
    if module == "venv":
        return True
    path = ROOT / module.replace(".", "/")
    files = [path.with_suffix(".py")] if not path.is_dir() else sorted(path.glob("*.py"))
    return all(file.is_file() for file in files) and _has_options(files, rest)


def _has_options(files, arguments):
    """Whether the files speak of every `--option`, as a text or as a name."""
    text = "\n".join(file.read_text() for file in files)
    options = [word.partition("=")[0] for word in arguments if word.startswith("--")]
    shared = {"--out"} if files[0].parent.name == "lecture" else set()
    return all(
        option in text or f"{option[2:].replace('-', '_')}=" in text or option in shared
        for option in options
    )


def _is_of_dev(arguments):
    return True


#: What stands on pages beside surefoot's own commands, and how it is checked.
CHECKED = {
    "make": _is_target,
    "pip": _is_installed_by_pip,
    "python": _is_a_program,
    "python3": _is_a_program,
    "source": lambda arguments: arguments == [".venv/bin/activate"],
    "cd": lambda arguments: True,
    **dict.fromkeys(("ruff", "mypy", "lint-imports", "pytest", "pre-commit"), _is_of_dev),
}

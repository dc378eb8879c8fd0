"""Names of folders, environments and methods, with any characters: they end no command, and reach
neither the terminal as what it obeys nor a page as HTML."""

import collections
import contextlib
import html.parser
import io
import json
import os
import re
import shlex
import shutil
import unicodedata

import gymnasium
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import surefoot as sf
from support.runs import BATCH, TINY
from support.suites import cases
from surefoot import reporting
from surefoot.cli.commands.messages import word
from surefoot.cli.main import main
from surefoot.common.printable import LONGEST, one_line, printable
from surefoot.reporting.drawing import plotly_figures
from surefoot.runs.new_folder import default_run_folder

TRICKY = [
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x9b2J",
    "\r",
    "\n",
    "\x7f\b",
    "\u202egnp.exe",
    "\u2066\u200f",
    "\u2028",
    "\udc80",
    "[bold]loud[/bold]",
    "[/]",
    ":dog:",
    "%s%d{}",
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "&lt;",
    "$\\frac{",
    "`$(id)`;",
    "--help",
    "-rf",
    "~ é ß 漢 😀",
    "x" * 120,
]
FAST = settings(
    max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
ANY = st.lists(
    st.sampled_from(TRICKY) | st.text(st.characters(codec=None), max_size=12),
    min_size=1,
    max_size=4,
).map("".join)


def a_file_name(text):
    try:
        return bool(text.strip(".")) and len(os.fsencode(text)) <= 200
    except UnicodeEncodeError:
        return False


NAMES = ANY.map(lambda text: text.replace("/", "").replace("\0", "")).filter(a_file_name)


def safe(text):
    """Whether a terminal only shows it."""
    return all(unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in text)


def known(text):
    """Whether every character is one that fonts may have."""
    return all(unicodedata.category(c) not in ("Cn", "Co") for c in text)


def run(*words):
    """(exit code, standard output, standard error) of a command, which a terminal only shows."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    out, err = out.getvalue(), err.getvalue()
    for line in (out + err).split("\n"):
        assert safe(line), ascii(line)
    assert len(err.splitlines()) == (code == 2), err
    return code, out, err


def row(i, **more):
    returns = {"episode_returns": [float(i)], "episode_lengths": [7]}
    return {"iteration": i, "steps": 128 * (i + 1), "kl_mean": 0.01, **returns, **more}


def make(folder, name, **more):
    """A run's folder, whose files say that name wherever they say one."""
    folder.mkdir(parents=True)
    config = {
        "algorithm": name,
        "environment": name,
        "environment_id": name,
        "hyperparameters": {name: name},
        "setup": {"steps": 1280, "seed": 4, name: name},
        "versions": {name: name},
        "command": ["surefoot", "train", name, name],
        "steps": 1280,
        **more,
    }
    (folder / "config.json").write_text(json.dumps(config))
    lines = [json.dumps(row(i, **{name: 1.0})) + "\n" for i in range(3)]
    (folder / "metrics.jsonl").write_text("".join(lines))
    return folder


@given(text=ANY)
@settings(FAST, max_examples=200)
def test_what_is_shown_is_safe_and_says_what_it_was(text):
    for shown in (one_line(text), str(sf.UsageError(text))):
        assert safe(shown)
        assert shown == text or not safe(text) or not known(text)
        shown.encode()
    for shown in (printable(text), str(sf.TrainingError(text))):
        assert all(map(safe, re.split(r"[\n\t]", shown)))
    # A word of a command is that word.
    (back,) = shlex.split(word(text))
    assert back == (f"./{text}" if text.startswith("-") else text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b", r"\x9b"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\u202e", r"\u202e"),
        ("\udc80", r"\udc80"),
        ("[bold]é 漢\u3000😀", "[bold]é 漢\u3000😀"),
    ],
)
def test_what_no_terminal_shows_is_shown_as_python_writes_it(text, shown):
    assert one_line(text) == shown


def test_a_message_has_an_end():
    assert len(str(sf.UsageError("x" * 10**6))) < LONGEST + 10


@given(folder=NAMES, name=ANY)
@FAST
def test_no_command_about_a_run_is_ended_by_a_name(folder, name, tmp_path_factory):
    root = tmp_path_factory.mktemp("names")
    made = make(root / folder, name)
    assert run("watch", made, "--once")[0] == 0
    assert run("watch", root, "--once")[0] == 0
    assert run("report", made)[0] == 0
    make(root / "other", name + "b")
    assert run("report", root)[0] == 0
    for command in ("resume", "inspect", "evaluate", "record", "export"):
        code, out, err = run(command, made)
        assert (code, out) == (2, "")
        assert err.startswith("surefoot: ")


@given(name=ANY)
@FAST
def test_a_name_is_no_markup_on_a_terminal(name, tmp_path_factory):
    made = make(tmp_path_factory.mktemp("names") / "run", name)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FORCE_COLOR", "1")
        patched.setenv("COLUMNS", "10000")
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            assert main(["watch", str(made), "--once"]) == 0
    # Colors are ours; nothing else is.
    shown = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert all(map(safe, shown.split("\n")))
    assert one_line(name, most=200) in shown


class Tags(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words = collections.Counter(), set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs} - {"class"}

    def handle_data(self, data):
        self.words.append(data)


def pages(root, name):
    """The pages of a run and of several that say that name."""
    for i in range(2):
        make(root / f"run-{i}", name, algorithm=f"{name}{i}")
    texts = [
        reporting.write(paths, root / "page.html").read_text(encoding="utf-8")
        for paths in ([root / "run-0"], [root])
    ]
    return list(map(Tags, texts))


@given(name=ANY)
@FAST
def test_a_name_is_text_on_a_page(name, tmp_path_factory):
    root = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patched:
        # Megabytes that have no name in them.
        patched.setattr(plotly_figures, "script", str)
        named, plain = (pages(root / f"of-{i}", x) for i, x in enumerate((name, "name")))
    for page, expected in zip(named, plain, strict=True):
        assert page.tags == expected.tags
        assert page.attributes == expected.attributes
        assert all(map(safe, "".join(page.words).split("\n")))


WORK = {
    "watch": ["--once"],
    "report": [],
    "evaluate": ["--episodes=1"],
    "record": ["--episodes=1"],
    "resume": [f"--steps={6 * BATCH}", "--no-report"],
    "export": ["--episodes=1"],
    "inspect": ["--out=$x^{.png"],
}


@pytest.mark.parametrize("command", cases(WORK, fast=["watch", "report", "evaluate"]))
def test_commands_do_their_work_in_a_folder_of_any_name(command, trained, tmp_path, monkeypatch):
    name = "-\x1b[31m[bold]:dog: <b>\n'\u202e"
    folder = shutil.copytree(trained(), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    code, out, _ = run(command, f"./{name}", *WORK[command])
    assert code == 0
    made = {str(path.relative_to(tmp_path)) for path in set(tmp_path.rglob("*")) - before}
    if command in ("report", "record"):
        assert one_line(name) in out
    match command:
        case "report" | "record" | "export":
            assert all(path.startswith(folder.name) for path in made) == bool(made)
        case "inspect":
            assert "$x^{.png" in made
        case "resume":
            # What is said to go on with can be pasted, but for what no terminal shows.
            assert f"surefoot evaluate {one_line(word(name))}" in out


def test_environments_of_any_name_are_trained_on(tmp_path):
    name = "\x1b[31m[bold]<b>\n\u202e$x^{"
    kind = type(name, (gymnasium.Wrapper,), {"spec": None})

    def make_it():
        return kind(gymnasium.make("CartPole-v1"))

    sf.train("trpo", make_it, out=tmp_path / "run", steps=BATCH, **TINY)
    for command in ("watch", "report", "evaluate", "resume", "inspect"):
        more = ["--once"] if command == "watch" else []
        code, _, _ = run(command, tmp_path / "run", *more)
        assert code == (0 if command in ("watch", "report") else 2)


@given(env=ANY)
@settings(FAST, max_examples=50)
def test_a_folder_can_be_made_for_any_environment(env):
    folder = default_run_folder("trpo", env, 0)
    assert folder.parent.name == "runs"
    assert len(os.fsencode(folder.name)) < 255
    assert safe(folder.name)

"""What the documentation shows is what there is: every block runs, every link and option exists,
and the site is built from the pages without a warning."""

import contextlib
import io
import os
import re
import subprocess
import sys

import pytest

import surefoot as sf
from support import pages
from surefoot.cli import main
from surefoot.methods.registry import RECIPES

sys.path.append(str(pages.ROOT / "docs"))
import generated
import regenerate

#: Options of commands that are not surefoot's, and the two that only show how options look.
FOREIGN = {"--strict", "--logdir", "--name-with-dashes", "--name", "--no-name"}
#: What blocks of a page print.
PRINTED = {"theory": ("at least", "fixed ε: step 0.0;")}


#: Pages that are played as they stand only: they compose methods, make environments, or count on
#: the shapes of their runs.
AS_IT_STANDS = {"extending", "environments", "inspecting", "deploying", "coming-from"}


@pytest.mark.parametrize(
    "page", [p for p in pages.PAGES if p.stem not in AS_IT_STANDS], ids=lambda page: page.stem
)
def test_every_block_of_a_page_runs_with_tiny_runs(page, tmp_path, monkeypatch, capsys):
    check_blocks(page, tmp_path, monkeypatch, capsys, tiny=True)


@pytest.mark.slow
@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_page_runs_as_it_stands(page, tmp_path, monkeypatch, capsys):
    check_blocks(page, tmp_path, monkeypatch, capsys, tiny=False)


def check_blocks(page, tmp_path, monkeypatch, capsys, *, tiny):
    """Play a page in an empty folder; it prints what it is known to print."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    pages.scaled(monkeypatch, tiny=tiny)
    before = set(sys.modules)
    pages.play(page, tmp_path)
    told = capsys.readouterr().out
    assert all(text in told for text in PRINTED.get(page.stem, ()))
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def test_every_block_says_what_it_is_and_hardly_any_is_left_out():
    found = [fence for page in pages.PAGES for fence in pages.fences(page)]
    unknown = [f"{f}" for f in found if f.language not in {"python", "sh"} | pages.SHOWN]
    assert not unknown, "blocks of no known language"
    left_out = [f"{f}: {f.reason}" for f in found if f.reason]
    print(*left_out, sep="\n")
    assert len(left_out) <= 2


def prose(page):
    """A page's text without its blocks."""
    lines, inside = [], False
    for line in page.read_text().splitlines():
        if re.match(r"\s*(```|~~~)", line):
            inside = not inside
        elif not inside:
            lines.append(line)
    return "\n".join(lines)


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.stem)
def test_every_file_that_a_page_names_exists(page):
    text = prose(page)
    links = re.findall(r"\]\((?!\w+:)([^)#\s]+)(?:#[^)\s]*)?\)", text)
    links += re.findall(r"<!-- include: ([^#\n]+?)(?:#.+?)? -->", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    named = re.findall(r"`((?:docs|tests|examples|benchmarks|surefoot)/[\w./*-]+)`", text)
    # An environment's id ends in its version.
    paths = [path for path in named if not re.search(r"-v\d+$", path)]
    missing += [path for path in paths if not list(pages.ROOT.glob(path.rstrip("/")))]
    assert not missing


@pytest.fixture(scope="module")
def options():
    """Every option of every command, as its help shows them."""
    commands = [[name] for name in main.COMMANDS if name != "train"]
    commands += [["train", recipe] for recipe in RECIPES]
    found = {}
    for command in commands:
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
            main.main([*command, "--help"])
        found[" ".join(command)] = set(re.findall(r"--[a-z][\w-]*", shown.getvalue()))
    return found


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.stem)
def test_every_option_that_a_page_names_exists(page, options):
    every = set().union(*options.values()) | FOREIGN
    for code in re.findall(r"`([^`\n]*--[^`\n]*)`", prose(page)):
        named = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", code))
        if code.startswith("python -m "):
            continue
        command = re.match(r"surefoot ((?:train )?[\w-]+)", code)
        accepted = options.get(command[1], every) if command else every
        assert named <= accepted, f"{code}: {named - accepted}"


def test_the_readmes_recipe_table_is_the_generated_one():
    assert generated.recipe_table() in (pages.ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", regenerate.PAGES)
def test_a_page_has_what_is_generated_of_the_code_of_today(name):
    page = pages.ROOT / "docs" / name
    assert regenerate.fresh(page) == page.read_text(), "run: make pages"


def test_every_page_with_something_generated_is_kept_fresh():
    marked = {
        p.name for p in (pages.ROOT / "docs").glob("*.md") if regenerate.BLOCK.search(p.read_text())
    }
    assert marked == set(regenerate.PAGES)


def test_regenerating_changes_what_is_between_the_marks_alone(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "other.md").write_text("# A\n\n## B\n\n[x](docs/y.md#z), [w](a.py)\n\n## C\n\nno\n")
    page = tmp_path / "docs" / "page.md"
    page.write_text("before\n<!-- include: ../other.md#B -->\nold\n<!-- end -->\nafter\n")
    text = regenerate.fresh(page)
    expected = "## B\n\n[x](y.md#z), [w](../a.py)"
    mark = "<!-- include: ../other.md#B -->"
    assert text == f"before\n{mark}\n\n{expected}\n\n<!-- end -->\nafter\n"
    page.write_text(text)
    assert regenerate.fresh(page) == text


def test_every_public_name_is_in_the_reference_of_the_repository():
    text = (pages.ROOT / "docs" / "reference.md").read_text()
    assert {name for name in sf.__all__ if f"\n### {name}\n" not in text} <= {"__version__"}
    # Methods and fields with their meaning, arguments as a list.
    assert (
        "- `predict(observation, state=None, episode_start=None, deterministic=True, action" in text
    )
    assert "- `returns`: " in text
    assert "- `algorithm`: a recipe's name" in text


def test_every_hyperparameter_is_explained():
    for table in (generated.setup_table(), generated.hyperparameter_tables()):
        rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
        assert rows
        assert [row[0] for row in rows if len(row[-1].strip(" |")) < 5] == []


def test_a_field_has_its_own_docstring_and_not_its_neighbors():
    found = generated._docstrings(RECIPES["a2c"])
    assert found["horizon"] == "Steps of each environment in a batch."
    assert found["learning_rate"].startswith("RMSprop's rate")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built strictly."""
    pytest.importorskip("mkdocstrings", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "-d", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(pages.ROOT), "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=pages.ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_is_built_without_a_warning_and_fetches_nothing(site):
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert not re.search(r'<(script|img|iframe)[^>]*src="(https?:)?//', text), page
        assert not re.search(r'<link[^>]*href="(https?:)?//', text), page
        assert not re.search("<!-- (generated|include|end)", text)
    assert (site / "examples" / "new_method.py.html").is_file()


def test_every_public_name_has_an_entry_in_the_reference(site):
    text = (site / "reference.html").read_text()
    for name in set(sf.__all__) - {"__version__"}:
        assert f'id="surefoot.{name}"' in text, name
    assert set(sf._WHERE) == set(generated.GROUPS)


def test_predict_takes_what_stable_baselines3_passes():
    """`evaluate_policy` calls `predict` with these names, the maskable one of sb3-contrib with the
    last one, too, and nothing else of a model."""
    import inspect

    accepted = list(inspect.signature(sf.Agent.predict).parameters)[1:]
    assert accepted == ["observation", "state", "episode_start", "deterministic", "action_masks"]

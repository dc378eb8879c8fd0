"""One table of diagnostics: it is made of the parts' reports, whatever names a diagnostic has it
from there, and the report of a new part needs no more than its fields' docstrings."""

import ast
import json
import re
import subprocess
import sys
from typing import NamedTuple

import jax
import pytest
from jaxtyping import Array, Float

import surefoot as sf
from support import pages, runs
from surefoot.core.objectives import ratio
from surefoot.reporting.data import read_run
from surefoot.reporting.single_run import figures
from surefoot.reporting.single_run.others import MOST, others
from surefoot.reporting.single_run.panel import panel
from surefoot.runs.folder.diagnostic_table import describe, followed, known, table
from surefoot.runs.loggers.base import Entry
from surefoot.runs.loggers.tags import Tags

sys.path.append(str(pages.ROOT / "docs"))
import diagnostics

#: What holds the numbers of a row, and what takes their names.
HOLDERS = {"columns", "courses", "last", "metrics", "row", "traced", "written"}
TAKERS = {"components", "describe", "has", "known", "line", "lines", "panel"}
#: What a dashboard counts beside a row's numbers.
OWN = {"return", "timing"}


def test_the_package_has_the_table_of_today():
    assert diagnostics.TABLE.read_text() == diagnostics.text(), "run: make pages"


def test_every_number_of_a_row_is_in_the_table():
    golden = pages.ROOT / "tests" / "golden"
    names = set()
    for path in [*golden.glob("*.jsonl"), *golden.glob("*/metrics.jsonl")]:
        for row in runs.lines(path):
            timing = row.pop("timing", {})
            names |= {name.removeprefix("critic_") for name in row}
            names |= {f"timing.{part}" for part in timing}
    assert len(names) > 40
    assert names <= set(table())
    assert all(one.meaning and one.by for one in table().values())


def held(node):
    """The last name of what is subscripted, compared with or called."""
    return getattr(node, "attr", getattr(node, "id", None))


def words(node):
    """The strings that are a node, or of which it is a tuple."""
    return [x.value for x in ast.walk(node) if isinstance(x, ast.Constant) and type(x.value) is str]


def named(tree):
    """Every name of a diagnostic that code asks for."""
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=of, slice=ast.Constant(value=str(name))):
                yield from [name] if held(of) in HOLDERS else ()
            case ast.Compare(left=ast.Constant(value=str(name)), comparators=[of]):
                yield from [name] if held(of) in HOLDERS else ()
            case ast.Call(func=ast.Attribute(attr="get", value=of)):
                yield from words(node.args[0]) if held(of) in HOLDERS else ()
            case ast.Call() if (taker := held(node.func)) in TAKERS:
                given = node.args[: 2 if taker.startswith("line") else None]
                for one in [*given, *(keyword.value for keyword in node.keywords)]:
                    yield from () if isinstance(one, ast.Call) else words(one)
            case ast.Constant(value=bytes(text)):
                yield from re.findall(r'"(\w+)": ', text.decode(errors="replace"))


def test_every_name_that_is_used_is_in_the_table():
    """Whatever asks a row, or its columns, for a number by its name."""
    known_names = {*table(), *(f"critic_{name}" for name in table()), *OWN}
    unknown, used = [], set()
    for path in sorted((pages.ROOT / "surefoot").rglob("*.py")):
        for name in named(ast.parse(path.read_text())):
            used.add(name)
            if name not in known_names and not name.startswith("timing."):
                unknown.append(f"{path.name}: {name}")
    assert not unknown
    assert {"kl_mean", "kl_max", "kl_penalty", "refused", "critic_refused", "steps"} <= used


def test_a_name_that_the_table_lacks_is_refused():
    with pytest.raises(KeyError, match="kl_meen"):
        known("kl_meen")
    with pytest.raises(KeyError, match="kl_meen"):
        panel("kl_mean", also=("kl_meen",))
    assert followed() == ("kl_mean", "entropy", "explained_variance")


def test_facts_are_of_fields_that_are_there_and_fields_are_explained(monkeypatch):
    class Silent(NamedTuple):
        shrunk: Float[Array, ""]
        said: Float[Array, ""]
        """This one is. Bad: zero."""

    with pytest.raises(ValueError, match=r"Silent\.shrunk has no docstring"):
        diagnostics.table(diagnostics.reported(Silent))
    monkeypatch.setitem(diagnostics.FACTS, "kl_average", {"unit": "nats"})
    with pytest.raises(ValueError, match="no part reports kl_average"):
        diagnostics.package_table()


class HalvedInfo(NamedTuple):
    """What half a step reports."""

    full_step_kl: Float[Array, ""]
    """Mean KL(old‖new) of the whole step, nats. Bad: far from four times that of the half."""
    halves: jax.Array
    """The part of the step that was taken, twice."""


class Halved(sf.StepSize):
    """Half of another step size's step."""

    inner: sf.StepSize

    def __call__(self, local, direction):
        new, _ = self.inner(local, direction)
        half = jax.tree.map(lambda a, b: (a + b) / 2, local.params, new)
        kl = local.evaluate(new).kl
        return half, HalvedInfo(kl, jax.numpy.stack([kl, 2 * kl]))


class Skewed(sf.Surrogate):
    """A surrogate that reports how far the ratios are from 1."""

    def diagnostics(self, dist, batch):
        """What it reports.

        `ratio_gap`: Mean distance of the ratios from 1. Bad: above 1.
        """
        return {"ratio_gap": abs(ratio(dist, batch) - 1.0)}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A run of a method with parts of its own."""
    folder = tmp_path_factory.mktemp("toy") / "run"
    step = sf.Step(Skewed(), sf.Euclidean(), Halved(sf.KLBall(0.01)))
    sf.train(
        sf.Algorithm(step),
        "CartPole-v1",
        out=folder,
        backend="device",
        steps=4 * runs.BATCH,
        log=("csv", "tensorboard"),
        **runs.TINY,
    )
    return folder


def test_what_a_new_part_reports_is_everywhere_without_another_edit(toy, tmp_path):
    rows = runs.lines(toy / "metrics.jsonl")
    assert all(row["full_step_kl"] > 0 and len(row["halves"]) == 2 for row in rows)
    assert "full_step_kl,halves_0,halves_1" in (toy / "metrics.csv").read_text()
    (events,) = (toy / "tensorboard").iterdir()
    assert all(tag in events.read_bytes() for tag in (b"train/full_step_kl", b"train/ratio_gap"))
    tags = Tags()(Entry(rows[0], None, 0.0))
    assert tags["train/full_step_kl"] == rows[0]["full_step_kl"]

    log = read_run.read(toy)
    drawn = {figure.title: figure for figure in others(log, figures(log))[0]}
    assert drawn["Full step kl"].series[0].y.tolist() == [row["full_step_kl"] for row in rows]
    assert [one.name for one in drawn["Halves"].series] == ["Halves 0", "Halves 1"]
    assert "Ratio gap" in drawn
    text = sf.report(toy, out=tmp_path / "report.html").read_text()
    assert "Further diagnostics" in text
    assert "Full step kl" in text

    found = [*diagnostics.reported(HalvedInfo), *diagnostics.reported(Skewed)]
    lines = diagnostics.markdown("step", diagnostics.table(found)).splitlines()
    kl = "Mean KL(old‖new) of the whole step, nats."
    bad = "far from four times that of the half"
    assert lines[2:] == [
        f"| `full_step_kl` | nats | {kl} | {bad} | `HalvedInfo` |",
        "| `halves` | – | The part of the step that was taken, twice. |  | `HalvedInfo` |",
        "| `ratio_gap` | – | Mean distance of the ratios from 1. | above 1 | `Skewed` |",
    ]


def test_every_number_of_a_run_is_shown_or_told(toy):
    log = read_run.read(toy)
    drawn = figures(log)
    rest, notes = others(log, drawn)
    shown = {name for figure in [*drawn, *rest] for name in figure.shows}
    left = {column.partition(".")[0] for column in log.columns} - shown - {"timing"}
    assert all(describe(name).told or name in " ".join(notes) for name in left)
    assert "grad_norm" in shown
    assert not {"kl_mean", "grad_norm"} & left
    assert all(figure.shows for figure in drawn if figure.name != "learning")


def test_a_file_of_many_fields_is_a_page_of_some_figures(tmp_path):
    rows = [
        {"steps": 8 * i, "episode_returns": [], **{f"<b>{k}": i * k for k in range(1, 99)}}
        for i in range(1, 4)
    ]
    folder = tmp_path / "run"
    folder.mkdir()
    setup = {"steps": 24, "seed": 0}
    config = {"algorithm": "x", "environment": "y", "hyperparameters": {}, "setup": setup}
    (folder / "config.json").write_text(json.dumps({**config, "versions": {}}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    log = read_run.read(folder)
    drawn, notes = others(log, figures(log))
    assert len(drawn) == MOST
    assert notes == [f"{98 - MOST} more diagnostics are in metrics.jsonl alone"]
    text = sf.report(folder, out=tmp_path / "report.html").read_text()
    assert "<b>1" not in text.replace("\\u003cb>", "")
    assert f"{98 - MOST} more diagnostics" in text


def test_the_table_is_read_without_jax():
    code = (
        "import sys, surefoot.runs.loggers.tags, surefoot.reporting.single_run.others;"
        "from surefoot.runs.folder.diagnostic_table import describe;"
        "assert describe('critic_kl_mean').tag;"
        "print('jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

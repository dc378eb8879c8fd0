"""The notebook of the examples: it runs from top to bottom, and is kept without what it shows."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_its_outputs(path):
    notebook = json.loads(path.read_text())
    assert set(notebook["metadata"]) <= {"kernelspec", "language_info"}
    for cell in notebook["cells"]:
        assert not cell["metadata"]
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)


def outputs(cell):
    """What a cell shows, as text."""
    return ["".join(out.get("text") or out["data"]["text/plain"]) for out in cell.outputs]


@pytest.mark.slow
# What the kernel's own packages do when they are imported.
@pytest.mark.filterwarnings("default")
def test_the_first_run_shows_what_it_says(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # A notebook's own backend, which a kernel takes only where the shell has not chosen another.
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    (path,) = NOTEBOOKS
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    train, history, figure, report, evaluation, method, later = [
        outputs(cell) for cell in notebook.cells if cell.cell_type == "code"
    ]
    # One output is the bar, drawn again and again in its place.
    bar, told, agent = train
    assert bar.startswith("━" * 16)
    assert " 100% in " in bar
    assert re.search(r"return \d+\.\d · ", bar)
    assert told.startswith("compiled in ")
    assert agent.startswith("<Agent: 'trpo' on 'CartPole-v1', Box(4) → Discrete(2), trained for ")
    assert history[0].startswith("<History: 48 rows of iteration, steps, ")
    assert "Figure" in figure[-1]
    assert (tmp_path / "runs" / "first" / "report.html").is_file()
    assert "report.html" in report[0]
    assert evaluation[0].startswith("<Evaluation: 20 episodes: return ")
    assert method[0].startswith("Algorithm(Step(Surrogate(), Fisher(CG(10)), Backtrack(")
    assert "98304" in later[0]

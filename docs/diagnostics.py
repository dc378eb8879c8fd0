"""The table of diagnostics, made of the documented fields of what the parts report.

A field's docstring has its meaning. A sentence of it may end with the unit, as in "Mean over the
batch's states, nats.", and its last one may say what a bad value means: "Bad: above 0.3." What no
docstring says (of fields, or of the keys of an objective's or a distribution's `diagnostics`)
stands in `FACTS`. `make pages` writes the table into the package, where the report's panels, the
loggers' tags and the displays read it, and into the page.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "surefoot" / "runs" / "folder" / "diagnostic_table.json"

#: Where parts are, with the section of the page that their diagnostics are in.
SOURCES = {
    "core/updates": "step",
    "core": "step",
    "methods/learners/diagnostics.py": "data",
    "methods/learners": "data",
    "training/iteration.py": "time",
}
#: The named tuples that are reports, by their names' ends.
REPORT = re.compile(r"(Info|Metrics|NonFinite|Timing)$")
#: Annotations of numbers, and of arrays of them; what is no such thing is a report within a report.
NUMBER = re.compile(r"(Float|Int|Bool)\[|(jax\.|jnp\.)?Array\b|(float|int|bool)\b")
UNITS = ("nats", "seconds", "steps", "reward")


class Found(NamedTuple):
    """A diagnostic as its part documents it."""

    name: str
    meaning: str
    by: str
    """The part or named tuple that reports it."""
    section: str


#: What the loop adds to a row, which is told in other ways than by a figure of its own.
ROW: dict[str, dict[str, Any]] = {
    "iteration": {
        "meaning": "Number of the iteration, from 0.",
    },
    "steps": {
        "meaning": "Environment steps so far, with this iteration's (`bc`: recorded transitions).",
        "unit": "steps",
    },
    "env_restarts": {
        "meaning": "Worker processes that died or hung and were restarted; each costs the step it "
        "was in and the episode's return. Like `timing`, no matter of the seed.",
        "tag": "rollout/env_restarts",
    },
    "episode_returns": {
        "unit": "reward",
        "meaning": "Raw undiscounted returns of the episodes that ended, a list.",
    },
    "episode_lengths": {
        "unit": "steps",
        "meaning": "Their lengths, a list.",
    },
}
#: What no docstring says. `title` and `label` are the figure's and, short, the terminal's; `tag` is
#: Stable-Baselines3's, or SB3-contrib's; `followed` ones are in comparisons and on terminals; no
#: figure of their own have those that are `told` elsewhere.
FACTS: dict[str, dict[str, Any]] = {
    "objective_before": {"unit": "the objective's"},
    "objective_after": {
        "unit": "the objective's",
        "meaning": "Batch mean of the objective after the update.",
        "bad": "below before: the step lowered what it was to raise",
    },
    "predicted_improvement": {
        "unit": "the objective's",
        "bad": "far above the realized gain: the step leaves the region where the gradient holds",
    },
    "kl_mean": {
        "title": "How far each step moved the policy",
        "label": "KL",
        "tag": "train/approx_kl",
        "meaning": "KL(old‖new), mean over the batch's states.",
        "bad": "above twice the recipe's trust region",
        "log": True,
        "followed": True,
    },
    "kl_max": {
        "meaning": "KL(old‖new), largest over the batch's states.",
        "bad": "above 100 times the mean, often",
    },
    "entropy": {
        "title": "Entropy of the policy",
        "label": "entropy",
        "bad": "a fall to near zero early: exploration has ended",
        "followed": True,
    },
    "std": {
        "unit": "of the raw action",
        "title": "Standard deviation of each action dimension",
        "meaning": "Mean σ of the new policy in each action dimension, a list.",
        "bad": "one that ends above 20 times its beginning, or is below 1/20 of it in the middle "
        "of the run",
    },
    "effective_sample_size": {
        "section": "step",
        "title": "Effective sample size of the importance weights",
        "bad": "below one half in more than 5 % of the iterations: the surrogate rests on few "
        "samples",
    },
    "grad_norm": {"bad": "zero, or growing without bound"},
    "grad_cosine": {"bad": "near 1 always: the damping is so large that the geometry does nothing"},
    "relative_residual": {"bad": "above 0.1: more iterations or more damping"},
    "step_scale": {"bad": "zero: there was nothing to follow"},
    "d_fisher_d": {"unit": "nats"},
    "beta": {
        "unit": "the objective's per nat",
        "title": "Equivalent penalty β on the KL",
        "log": True,
    },
    "accepted": {"tag": "train/is_line_search_success", "bad": "`false` often"},
    "backtracks": {"bad": "near the number of tries"},
    "kl_penalty": {
        "unit": "the objective's per nat",
        "title": "Penalty β on the KL",
        "meaning": "β of `KLPenalized`, in the update that this row reports.",
        "bad": "at a bound of its range in more than half of the iterations",
        "log": True,
    },
    "projected_fraction": {
        "meaning": "Share of samples whose gradient `TrustRegionGradient` shortened.",
        "title": "Projected samples",
        "bad": "0 always, where the trust region does nothing; above 0.95 in half of the updates, "
        "where little is learned",
    },
    "clip_fraction": {
        "meaning": "Share of samples with |r − 1| > ε after the update.",
        "title": "Clipped samples",
        "bad": "above 0.3 in half of the updates: the rate is too high",
    },
    "population_return": {"section": "search", "unit": "reward"},
    "elite_return": {
        "section": "search",
        "unit": "reward",
        "bad": "equal to that of all: the search has collapsed, raise `extra_std`",
    },
    "search_std": {
        "section": "search",
        "title": "Width of the search",
        "unit": "units of a parameter",
        "bad": "below a hundredth of its beginning in the middle of the run",
    },
    "explained_variance": {
        "section": "critic",
        "title": "Explained variance of the critic",
        "label": "explained variance",
        "bad": "below zero in more than 5 % of the iterations after the first tenth of the steps",
        "low": -1.0,
        "high": 1.02,
        "followed": True,
    },
    "value_mean": {"section": "critic", "unit": "scaled reward"},
    "reward_scale": {"section": "critic", "unit": "1/reward"},
    "valid_rows": {"unit": "steps", "told": True},
    "learned_rows": {"unit": "steps"},
    "refused": {"told": True},
    "refused_cause": {
        "meaning": "0 nothing, 1 an observation, 2 a reward, 3 what was computed of finite data.",
        "told": True,
    },
    "refused_environment": {"told": True},
    "refused_component": {"told": True},
    "timing.steps_per_s": {"unit": "steps/s", "tag": "time/fps"},
}


def reported(kind: type) -> Iterator[Found]:
    """What a part, or a named tuple that it reports, has to say: for parts that lie elsewhere."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    yield from _fields(tree, "step") if issubclass(kind, tuple) else _keys(tree, "step")


def sources() -> Iterator[Found]:
    """What every part of the package has to say, without importing one."""
    for place, section in SOURCES.items():
        path = ROOT / "surefoot" / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef):
                    named = any(ast.unparse(base) == "NamedTuple" for base in node.bases)
                    if named and REPORT.search(node.name):
                        yield from _fields(node, section)
                    elif not named:
                        yield from _keys(node, section)


def _fields(tree: ast.ClassDef, section: str) -> Iterator[Found]:
    prefix = "timing." if section == "time" else ""
    for field, text in zip(tree.body, [*tree.body[1:], ast.Pass()], strict=True):
        if isinstance(field, ast.AnnAssign) and NUMBER.match(ast.unparse(field.annotation)):
            assert isinstance(field.target, ast.Name)
            said = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
            meaning = str(text.value.value) if said else ""
            yield Found(prefix + field.target.id, meaning, tree.name, section)


def _keys(tree: ast.ClassDef, section: str) -> Iterator[Found]:
    """The keys that a part's `diagnostics` returns, whose docstring may have lines "`key`: …"."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "diagnostics":
            said = dict(re.findall(r"^`(\w+)`: (.+)$", ast.get_docstring(node) or "", re.M))
            for made in (one for one in ast.walk(node) if isinstance(one, ast.Dict)):
                for key in made.keys:
                    if isinstance(key, ast.Constant):
                        yield Found(key.value, said.get(key.value, ""), tree.name, section)


def table(found: Iterable[Found]) -> dict[str, dict[str, Any]]:
    """The table by names: each with its meaning, and what else is known."""
    made: dict[str, dict[str, Any]] = {}
    for one in found:
        facts = made.setdefault(
            one.name,
            {
                "by": [],
                "section": one.section,
                **({"unit": "seconds"} if one.section == "time" else {}),
                **_parsed(one.meaning),
                **FACTS.get(one.name, {}),
            },
        )
        if one.by not in facts["by"]:
            facts["by"].append(one.by)
        if not facts["meaning"]:
            raise ValueError(f"{one.by}.{one.name} has no docstring that says what it is")
    return made


def _parsed(text: str) -> dict[str, str]:
    """A docstring as meaning, unit and bad value."""
    meaning, _, bad = " ".join(text.split()).partition(" Bad: ")
    facts = {"meaning": meaning}
    unit = re.search(rf"(?:,|, in|\(|in) ({'|'.join(UNITS)})\)?(?=[.;]|$)", meaning)
    if unit:
        facts["unit"] = unit[1]
    if bad:
        facts["bad"] = bad.rstrip(".")
    return facts


def package_table() -> dict[str, dict[str, Any]]:
    """That of the package. Raises `ValueError` where `FACTS` knows a field that no part reports, or
    a part reports one without saying what it is."""
    made = {
        name: {"by": ["the loop"], "section": "data", "told": True, **facts}
        for name, facts in ROW.items()
    } | table(sources())
    unknown = FACTS.keys() - made.keys()
    if unknown:
        raise ValueError(f"no part reports {', '.join(sorted(unknown))}")
    return made


def text() -> str:
    """What `TABLE` should hold."""
    return json.dumps(package_table(), ensure_ascii=False, indent=1) + "\n"


def markdown(section: str, made: dict[str, dict[str, Any]] | None = None) -> str:
    """A section of the page."""
    shown = {
        name: facts
        for name, facts in (package_table() if made is None else made).items()
        if facts["section"] == section
    }
    lines = ["| field | unit | meaning | a bad value | reported by |", "|---|---|---|---|---|"]
    for name, facts in shown.items():
        by = ", ".join(f"`{one}`" if one.isidentifier() else one for one in facts["by"])
        cells = [facts.get("unit", "–"), facts["meaning"], facts.get("bad", ""), by]
        escaped = (cell.replace("|", "\\|") for cell in (f"`{name}`", *cells))
        lines.append(f"| {' | '.join(escaped)} |")
    return "\n".join(lines)

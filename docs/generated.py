"""Tables and the reference, made of the code when the site is built."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import typing
from collections.abc import Iterable
from typing import Any

import surefoot
from surefoot.common.settings import RunSettings
from surefoot.methods.recipes import RECIPES


def recipe_table() -> str:
    """Every recipe as a combination of parts, as Markdown."""
    rows = [(f"`{name}`", *kind.parts) for name, kind in RECIPES.items()]
    return _table(("recipe", "objective", "geometry", "step size", "wrapper", "source"), rows)


def hyperparameter_tables() -> str:
    """The fields of every recipe, a section each, as Markdown."""
    parts = []
    for name, kind in RECIPES.items():
        parts += [f"## `{name}`", _words(kind.__doc__), _fields(kind)]
    return "\n\n".join(parts)


def setup_table() -> str:
    """The fields of `RunSettings`, as Markdown."""
    return _fields(RunSettings)


def reference() -> str:
    """Every public name, a section for each module, as Markdown for mkdocstrings."""
    parts = []
    for module, names in surefoot._WHERE.items():
        parts += [f"## {GROUPS.get(module, module)}"]
        parts += [_entry(name) for name in names]
    parts += ["## Packages"]
    parts += [_package(name) for name in surefoot._PACKAGES]
    return "\n\n".join(parts)


#: What a section of the reference is called, by the module whose names it holds.
GROUPS = {
    "surefoot.runs.train": "Train",
    "surefoot.runs.resume": "Resume",
    "surefoot.runs.export": "Export",
    "surefoot.reporting.entry": "Report",
    "surefoot.theory.inspection": "Inspect",
    "surefoot.agents.agent": "Agent",
    "surefoot.agents.history": "History",
    "surefoot.agents.playing.evaluation": "Evaluation",
    "surefoot.agents.export.write": "An exported policy",
    "surefoot.core.objectives": "What to improve: objectives",
    "surefoot.core.geometry": "Which way is steepest: geometries",
    "surefoot.core.step_size": "How far: step sizes",
    "surefoot.core.updates": "Updates",
    "surefoot.methods.learners.algorithm": "Learners: policy optimization",
    "surefoot.methods.learners.cross_entropy": "Learners: the cross-entropy method",
    "surefoot.methods.learners.behavior_cloning": "Learners: behavior cloning",
    "surefoot.methods.learners.learner": "What a learner is",
    "surefoot.core.local_model": "What a geometry sees",
    "surefoot.core.distributions": "Distributions",
    "surefoot.core.networks": "Networks",
    "surefoot.envs.device.device_env": "Environments in JAX",
    "surefoot.core.data.types": "Data",
    "surefoot.common.errors": "Errors",
}

#: What a package on the face has, by its name there. Recipes have pages of their own.
SHOWN = {
    "demonstrations": ("Demonstrations", "record", "save", "load"),
    "schedules": ("constant", "linear"),
    "theory": surefoot.theory.__all__,
}

GENERATED = {
    "recipes": recipe_table,
    "hyperparameters": hyperparameter_tables,
    "setup": setup_table,
    "reference": reference,
}


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in (head, *rows)]
    rule = "|".join(["---"] * len(head))
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])])


def _words(text: str | None) -> str:
    return " ".join((text or "").split())


def _fields(kind: type) -> str:
    hints = typing.get_type_hints(kind)
    rows = [
        (
            f"`{field.name}`",
            f"`{_shown(field.default)}`",
            _accepted(field, hints[field.name]),
            _words(_docstrings(kind).get(field.name)),
        )
        for field in dataclasses.fields(kind)
    ]
    return _table(("name", "default", "accepted", "meaning"), rows)


def _shown(default: Any) -> str:
    return f"{default:_}" if isinstance(default, int) and default >= 10_000 else repr(default)


def _accepted(field: dataclasses.Field[Any], hint: Any) -> str:
    if "accepts" in field.metadata:
        return str(field.metadata["accepts"]).replace(">=", "≥").replace("<=", "≤")
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(f"`{choice}`" for choice in typing.get_args(hint))
    named = {bool: "`True` or `False`", str: "text"}
    return named.get(hint, "integers ≥ 1" if typing.get_origin(hint) is tuple else str(hint))


def _docstrings(kind: type) -> dict[str, str]:
    """The strings below the fields of a class and of its bases; the nearest wins."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(tree, ast.ClassDef)
        for field, text in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                assert isinstance(field.target, ast.Name)
                found[field.target.id] = ast.literal_eval(text.value)
    return found


def _entry(name: str) -> str:
    value = getattr(surefoot, name)
    lines = [f"### {name} {{ #surefoot.{name} }}"]
    if callable(value) and not inspect.isabstract(value):
        lines += [f"```python\n{_signature(name, value)}\n```"]
    return "\n\n".join([*lines, f"::: surefoot.{name}\n    options:\n      heading_level: 4"])


def _signature(name: str, value: Any) -> str:
    try:
        signature = inspect.signature(value)
    except ValueError:
        return name
    plain = [
        parameter.replace(annotation=inspect.Parameter.empty, default=_default(parameter.default))
        for parameter in signature.parameters.values()
    ]
    inside = str(inspect.Signature(plain))
    return f"{name}{inside}" if len(inside) < 80 else f"{name}(\n    {inside[1:-1]},\n)"


class _Text(str):
    def __repr__(self) -> str:
        return str(self)


def _default(value: Any) -> Any:
    if value is inspect.Parameter.empty or isinstance(value, int | float | str | None):
        return value
    return _Text(getattr(value, "__name__", "…"))


def _package(name: str) -> str:
    package = getattr(surefoot, name)
    lines = [f"### {name} {{ #surefoot.{name} }}", inspect.getdoc(package) or ""]
    inner = [
        f"#### {each} {{ #surefoot.{name}.{each} }}\n\n::: {package.__name__}.{each}\n"
        "    options:\n      heading_level: 5"
        for each in SHOWN.get(name, ())
    ]
    return "\n\n".join([*lines, *inner])

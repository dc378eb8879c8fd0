"""Tables and the reference, made of the code."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import re
import textwrap
import typing
from collections.abc import Iterable
from typing import Any

import diagnostics

import surefoot
from surefoot.common.settings import RunSettings
from surefoot.methods.registry import RECIPES


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


def reference(*, site: bool = False) -> str:
    """Every public name, a section for each module, as Markdown: of the site for mkdocstrings."""
    entry, package = (_site_entry, _site_package) if site else (_entry, _package)
    parts = []
    for module, names in surefoot._WHERE.items():
        parts += [f"## {GROUPS.get(module, module)}"]
        parts += [entry(name) for name in names]
    parts += ["## Packages"]
    parts += [package(name) for name in surefoot._PACKAGES]
    return "\n\n".join(parts)


#: What a section of the reference is called, by the module whose names it holds.
GROUPS = {
    "surefoot.runs.train": "Train",
    "surefoot.runs.earlier.resume": "Resume",
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
    "surefoot.methods.learners.cost_limits": "Learners: limits on costs",
    "surefoot.methods.learners.cross_entropy": "Learners: the cross-entropy method",
    "surefoot.methods.learners.covariance_adaptation": "Learners: CMA-ES",
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
    **{
        f"diagnostics-{section}": functools.partial(diagnostics.markdown, section)
        for section in ("step", "search", "critic", "data", "time")
    },
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
    """The strings below the fields of a class and of its bases of ours; the nearest wins."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not base.__module__.startswith("surefoot"):
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(tree, ast.ClassDef)
        for field, text in zip(tree.body, tree.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                found[field.target.id] = str(text.value.value)
    return found


def _site_entry(name: str) -> str:
    value = getattr(surefoot, name)
    lines = [f"### {name} {{ #surefoot.{name} }}"]
    if callable(value) and not inspect.isabstract(value):
        lines += [f"```python\n{_signature(name, value)}\n```"]
    return "\n\n".join([*lines, f"::: surefoot.{name}\n    options:\n      heading_level: 4"])


def _signature(name: str, value: Any, *, method: bool = False) -> str:
    try:
        signature = inspect.signature(value)
    except ValueError:
        return name
    plain = [
        parameter.replace(annotation=inspect.Parameter.empty, default=_default(parameter.default))
        for parameter in list(signature.parameters.values())[1 if method else 0 :]
    ]
    inside = str(inspect.Signature(plain))
    return f"{name}{inside}" if method or len(inside) < 80 else f"{name}(\n    {inside[1:-1]},\n)"


class _Text(str):
    def __repr__(self) -> str:
        return str(self)


def _default(value: Any) -> Any:
    if value is inspect.Parameter.empty or isinstance(value, int | float | str | None):
        return value
    return _Text(getattr(value, "__name__", "…"))


def _site_package(name: str) -> str:
    package = getattr(surefoot, name)
    lines = [f"### {name} {{ #surefoot.{name} }}", inspect.getdoc(package) or ""]
    inner = [
        f"#### {each} {{ #surefoot.{name}.{each} }}\n\n::: {package.__name__}.{each}\n"
        "    options:\n      heading_level: 5"
        for each in SHOWN.get(name, ())
    ]
    return "\n\n".join([*lines, *inner])


def _entry(name: str) -> str:
    return _described(name, getattr(surefoot, name), "###")


def _package(name: str) -> str:
    package = getattr(surefoot, name)
    inner = [
        _described(f"{name}.{each}", getattr(package, each), "####") for each in SHOWN.get(name, ())
    ]
    return "\n\n".join(filter(None, [f"### {name}", _doc(package), *inner]))


def _described(name: str, value: Any, level: str) -> str:
    """A name with its signature, its docstring, its fields and its methods."""
    parts = [f"{level} {name}"]
    if callable(value) and not inspect.isabstract(value):
        parts.append(f"```text\n{_signature(name.rpartition('.')[2], value)}\n```")
    parts.append(_doc(value))
    if inspect.isclass(value):
        fields, members = _docstrings(value), []
        members += [f"- `{field}`: {_words(text)}" for field, text in fields.items()]
        for each, member in vars(value).items():
            if each.startswith("_") or each in fields:
                continue
            plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
            told = _words((getattr(plain, "__doc__", None) or "").split("\n\n")[0])
            if told and isinstance(member, property):
                members.append(f"- `{each}`: {told}")
            elif told and inspect.isfunction(plain):
                members.append(f"- `{_signature(each, plain, method=True)}`: {told}")
        parts.append("\n".join(members))
    return "\n\n".join(filter(None, parts))


_SECTION = re.compile(r"(Args|Returns|Raises|Yields|Attributes):")


def _doc(value: Any) -> str:
    """A docstring as Markdown: its sections of arguments and errors become lists."""
    if not (getattr(value, "__module__", None) or getattr(value, "__name__", "")).startswith(
        "surefoot"
    ):
        return ""
    lines, inside = [], False
    for line in (inspect.getdoc(value) or "").splitlines():
        heading = _SECTION.fullmatch(line)
        if heading:
            lines += ["", f"**{heading[1]}**", ""]
            inside = True
        elif inside and re.match(r" {4}\S", line):
            name, colon, rest = line.strip().partition(": ")
            plain = colon and re.fullmatch(r"[\w*, .]+", name)
            lines.append(f"- `{name}`: {rest}" if plain else f"- {line.strip()}")
        elif inside and line.startswith("     "):
            lines.append(f"  {line.strip()}")
        else:
            inside = inside and not line.strip()
            lines.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()

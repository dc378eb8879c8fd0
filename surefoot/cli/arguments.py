"""Command-line arguments against dataclasses: `tyro` parses and documents them, and this module
makes every mistake one line that names the value, what is accepted, and the closest match.

Options are `--field-name value`; booleans are `--flag` and `--no-flag`; a tuple takes
several values, and as the last positional one all that are left.
"""

from __future__ import annotations

import contextlib
import dataclasses
import decimal
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import tyro

from surefoot.common.errors import UsageError, closest
from surefoot.common.foreign_names import option_hint

T = TypeVar("T")

_KINDS = {int: "an integer", float: "a number"}
_METAVARS = {int: "INT", float: "FLOAT", str: "STR", Path: "PATH"}


def parse(kind: type[T], arguments: Sequence[str], *, prog: str, positionals: Sequence[str]) -> T:
    """An instance of the dataclass `kind` from command-line arguments; nested dataclasses give
    their fields without a prefix, and the fields named in `positionals` have no option.

    Raises `UsageError` for anything that is not accepted; exits with 0 after printing `--help`.
    """
    if not {"-h", "--help"} & set(arguments):
        hints = typing.get_type_hints(kind)
        wanted = {name: hints[name] for name in positionals}
        _check(_options(kind, positionals), list(arguments), prog, wanted)
    # `UsageError` from a dataclass's own validation passes through.
    with _REGISTRY:
        return tyro.cli(kind, args=list(arguments), prog=prog, config=(tyro.conf.OmitArgPrefixes,))


_REGISTRY = tyro.constructors.ConstructorRegistry()


@_REGISTRY.primitive_rule
def _optional(
    info: tyro.constructors.PrimitiveTypeInfo,
) -> tyro.constructors.PrimitiveConstructorSpec[Any] | None:
    """An optional number, text or path is left out, and never given as "None"."""
    hint: Any = info.type
    kinds = set(typing.get_args(hint)) - {type(None)}
    if not isinstance(hint, types.UnionType) or len(kinds) != 1 or kinds - _METAVARS.keys():
        return None
    (kind,) = kinds
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=_METAVARS[kind],
        instance_from_str=lambda values: _READ.get(kind, kind)(values[0]),
        is_instance=lambda x: x is None or isinstance(x, kind),
        str_from_instance=lambda x: ["unset" if x is None else str(x)],
    )


@_REGISTRY.primitive_rule
def _integer(
    info: tyro.constructors.PrimitiveTypeInfo,
) -> tyro.constructors.PrimitiveConstructorSpec[Any] | None:
    """An integer, which may be written 1e6."""
    if info.type is not int:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=_METAVARS[int],
        instance_from_str=lambda values: _read_integer(values[0]),
        is_instance=lambda x: isinstance(x, int),
        str_from_instance=lambda x: [str(x)],
    )


def _read_integer(text: str) -> int:
    """The integer that is written so, 1e6 and 2.5e5 included. Raises `ValueError` where it is
    none, or has more than 30 digits."""
    with contextlib.suppress(ValueError):
        return int(text)
    try:
        number = decimal.Decimal(text)
    except decimal.InvalidOperation:
        raise ValueError(f"{text!r} is no number") from None
    if not number.is_finite() or number.adjusted() > 30 or number != int(number):
        raise ValueError(f"{text!r} is no integer")
    return int(number)


_READ: dict[type, Callable[[str], Any]] = {int: _read_integer, float: float}


def _options(kind: Any, positionals: Sequence[str]) -> dict[str, Any]:
    """Type of every option, by its name with dashes."""
    hints = typing.get_type_hints(kind)
    options: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            options.update(_options(hint, ()))
        elif field.name not in positionals:
            options[field.name.replace("_", "-")] = hint
    return options


def _check(
    options: dict[str, Any], arguments: list[str], prog: str, positionals: dict[str, Any]
) -> None:
    missing = list(positionals)
    taking = ""
    flags = {name for name, hint in options.items() if hint is bool}
    while arguments:
        token = arguments.pop(0)
        if not token.startswith("--"):
            if token.startswith("-") and not _converts(float, token):
                raise UsageError(
                    f"unknown option {token}; options begin with --, '{prog} --help' lists them"
                )
            if not missing and not taking:
                raise UsageError(f"unexpected argument {token!r}; '{prog} --help' shows the usage")
            name = missing.pop(0) if missing else taking
            taking = name if typing.get_origin(positionals[name]) is tuple else ""
            _check_value(name, positionals[name], token)
            continue
        name, equals, value = token[2:].replace("_", "-").partition("=")
        if equals:
            value = token.partition("=")[2]
        if name in flags or name.removeprefix("no-") in flags:
            if equals:
                raise UsageError(f"--{name} takes no value and got {value!r}")
            continue
        if name not in options:
            names = [*options, *(f"no-{flag}" for flag in flags)]
            hint = option_hint(name, names, prefix="--")
            raise UsageError(
                f"unknown option --{name}; '{prog} --help' lists what is accepted.{hint}"
            )
        hint = options[name]
        if equals:
            values = [value]
        else:
            several = typing.get_origin(hint) is tuple
            values = []
            while arguments and not arguments[0].startswith("--") and (several or not values):
                values.append(arguments.pop(0))
        if not values:
            raise UsageError(f"--{name} needs a value; accepted is {_accepted(hint)}")
        for value in values:
            _check_value(f"--{name}", hint, value)
    if missing:
        wanted = " ".join(name.upper() for name in missing)
        raise UsageError(f"missing argument {wanted}; '{prog} --help' shows the usage")


def _check_value(name: str, hint: Any, value: str) -> None:
    if not _converts(hint, value):
        kind = _element(hint)
        near = f".{closest(value, typing.get_args(kind))}" if _is_literal(kind) else ""
        raise UsageError(f"{name} is {value!r}; accepted is {_accepted(hint)}{near}")


def _is_literal(hint: Any) -> bool:
    return typing.get_origin(hint) is Literal


def _element(hint: Any) -> Any:
    """What one value of the option must be: the element of a tuple, the type of an optional."""
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0]
    if isinstance(hint, types.UnionType):
        return next(arg for arg in typing.get_args(hint) if arg is not type(None))
    return hint


def _accepted(hint: Any) -> str:
    kind = _element(hint)
    if _is_literal(kind):
        return " or ".join(map(repr, typing.get_args(kind)))
    accepted = _KINDS.get(kind, "a value")
    several = typing.get_origin(hint) is tuple
    return f"{accepted}, or several with spaces between them" if several else accepted


def _converts(hint: Any, value: str) -> bool:
    kind = _element(hint)
    if _is_literal(kind):
        return value in typing.get_args(kind)
    if kind not in _KINDS:
        return True
    try:
        _READ[kind](value)
    except ValueError:
        return False
    return True

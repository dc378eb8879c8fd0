"""Python that runs an exported policy, for its card; a test executes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces

from surefoot.agents.export.formats.ports import Port, inputs


def usage(space: spaces.Space, *, file: str, kind: str, env_id: str | None) -> str:
    """The code: an episode of a Gymnasium environment if its id is given, otherwise the action for
    one observation."""
    ports = inputs(space)
    runtime = {"onnx": "import onnxruntime", "stablehlo": "import jax"}[kind]
    imports = [*(["import gymnasium"] if env_id else []), "import numpy as np", runtime]
    ordered = sorted(imports, key=lambda line: line.split()[1])
    return "\n".join(
        [
            *ordered,
            "",
            *_loading(file, kind),
            "",
            *_acting(space, ports, kind),
            "",
            *(_episode(env_id) if env_id else _once(space, ports)),
        ]
    )


def _loading(file: str, kind: str) -> list[str]:
    if kind == "onnx":
        return [f"policy = onnxruntime.InferenceSession({_literal(file)})"]
    return [
        f'with open({_literal(file)}, "rb") as opened:',
        "    policy = jax.export.deserialize(bytearray(opened.read()))",
    ]


def _acting(space: spaces.Space, ports: list[Port], kind: str) -> list[str]:
    if kind == "onnx":
        parts = [f"        {_literal(port.name)}: {_batch_of_one(port)}," for port in ports]
        return [
            "def act(observation):",
            "    batch = {",
            *parts,
            "    }",
            '    return policy.run(["action"], batch)[0][0]',
        ]
    return [
        "def act(observation):",
        f"    batch = {_nested(space, ports, _batch_of_one)}",
        "    with jax.enable_x64(True):  # Types may be of 64 bits.",
        "        return np.asarray(policy.call(batch))[0]",
    ]


def _batch_of_one(port: Port) -> str:
    part = "".join(f"[{_literal(key)}]" for key in port.path)
    return f"np.asarray(observation{part}, np.{port.dtype})[None]"


def _nested(space: spaces.Space, ports: list[Port], part: Callable[[Port], str]) -> str:
    """Python for an observation, each part as `part` has it."""
    left = iter(ports)

    def text(space: spaces.Space) -> str:
        match space:
            case spaces.Dict():
                return "{" + ", ".join(f"{_literal(k)}: {text(s)}" for k, s in space.items()) + "}"
            case spaces.Tuple():
                return "(" + "".join(f"{text(s)}, " for s in space) + ")"
            case _:
                return part(next(left))

    return text(space)


def _episode(env_id: str | None) -> list[str]:
    return [
        f"env = gymnasium.make({_literal(env_id)})",
        "observation, _ = env.reset(seed=1)",
        "total, ended = 0.0, False",
        "while not ended:",
        "    observation, reward, terminated, truncated, _ = env.step(act(observation))",
        "    total, ended = total + reward, terminated or truncated",
        'print("return", total)',
    ]


def _once(space: spaces.Space, ports: list[Port]) -> list[str]:
    example = _nested(space, ports, _example)
    return [f"observation = {example}  # Yours.", 'print("action", act(observation))']


def _example(port: Port) -> str:
    start: Any = 0
    if isinstance(port.space, spaces.Discrete):
        start = int(port.space.start)
    elif isinstance(port.space, spaces.MultiDiscrete):
        start = np.asarray(port.space.start).tolist()
    return f"np.full({port.shape!r}, {start!r}, np.{port.dtype})"


def _literal(value: Any) -> str:
    """Python for it, text in the quotes of this library where it has none of its own."""
    text = repr(value)
    plain = isinstance(value, str) and not {"'", '"'} & set(value)
    return f'"{text[1:-1]}"' if plain else text
